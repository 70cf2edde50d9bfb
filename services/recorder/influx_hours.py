"""Whole hours of the journal as points of InfluxDB: what is left to look at when the readings have gone there.

A point of the measurement `energy` has the hour's start as its time and the tag `station`; its fields are the energy of every
position and of import (P1 + P2), load (P1 + P3) and avoided (P3 - P2), the mean state of charge, and the share of the hour for which
P1 to P3 are known. An hour between others in which nothing was read is told too, for that share: it is 0. What the battery gave (P3)
and took (P2 + P4) is told for the hours in which both are known, so that one may be divided by the other. An hour that is reckoned
anew is told again, and is the same point.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from services.core.config.station import Station
from services.core.money import wear_per_wh
from services.recorder import schema
from services.recorder.columns import COLUMNS
from services.recorder.following import Cursor
from services.recorder.rollups import FLOWS, HOUR, HOUR_S, METERED, ROLLED

HOUR_MS = HOUR_S * 1000
_BETWEEN = f"SELECT key, {', '.join(ROLLED)} FROM {HOUR.table} WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?"  # noqa: S608 - fixed names
_FIRST = f"SELECT min(key) FROM {HOUR.table}"  # noqa: S608 - fixed names
_NOTHING = (None,) * len(ROLLED)
_AROUND = 1
"""Hours beside a late reading that it may change."""

StoredHour = tuple[int | None, ...]
"""The hour, counted since 1970, then the columns of `rollups.ROLLED`."""


@dataclass(frozen=True, slots=True)
class HourPage:
    """Some hours, and where to go on. The cursor's times are the starts of hours not told yet."""

    hours: list[StoredHour]
    cursor: Cursor
    more: bool


@dataclass(frozen=True, slots=True)
class BatteryScale:
    """What turns energy that the battery gave into cycles and money."""

    has_pv: bool = False
    cycles_per_wh: float | None = None
    wear_per_wh: float | None = None

    @classmethod
    def of(cls, station: Station) -> "BatteryScale":
        """As the station file says."""
        battery = station.battery
        wear = wear_per_wh(battery.price, battery.cycle_life, battery.capacity_wh, battery.discharge_efficiency) if battery.price else None
        return cls(station.positions.p4 is not None, 1 / (battery.capacity_wh * battery.discharge_efficiency), wear)


NOTHING_KNOWN = BatteryScale()
"""Of the battery."""


def page(db: sqlite3.Connection, after: Cursor | None, limit: int) -> HourPage:
    """At most `limit` hours after `after` (None: from the first on), the ones changed by late readings too. Raises sqlite3.Error."""
    if after is None:
        after = Cursor(0, db.execute("SELECT coalesce(max(seq), 0) FROM late").fetchone()[0], 0)
    hours: list[StoredHour] = []
    while len(hours) < limit and (entry := _next_late(db, after.late_seq)) is not None:
        seq, first_ms, last_ms = entry
        first = max(first_ms // HOUR_MS - _AROUND, after.late_ms // HOUR_MS)
        last = min(last_ms // HOUR_MS + _AROUND, after.ts_ms // HOUR_MS - 1)
        if db.execute("SELECT 1 FROM dirty WHERE hour BETWEEN ? AND ? LIMIT 1", (first, last)).fetchone():
            break  # not reckoned anew yet
        room = limit - len(hours)
        part = db.execute(_BETWEEN, (first, last, room)).fetchall()
        hours += part
        full = len(part) == room
        after = Cursor(after.ts_ms, after.late_seq if full else seq, (part[-1][0] + 1) * HOUR_MS if full else 0)
    if room := limit - len(hours):
        part = _rolled(db, after.ts_ms // HOUR_MS, room)
        hours += part
        after = Cursor((part[-1][0] + 1) * HOUR_MS if part else after.ts_ms, after.late_seq, after.late_ms)
    return HourPage(hours, after, more=len(hours) == limit)


def _rolled(db: sqlite3.Connection, begin: int, room: int) -> list[Any]:
    """The hours from `begin` on that have been rolled up, at most `room`.

    One in which nothing was read has no row, and is here all the same: that nothing is known of it is known.
    """
    first = db.execute(_FIRST).fetchone()[0]
    until_s = schema.meta(db, schema.ROLLED_UNTIL)
    if first is None or until_s is None:
        return []
    wanted = range(max(begin, first), until_s // HOUR_S)[:room]
    if not wanted:
        return []
    # What is being reckoned anew comes when that is done.
    dirty = db.execute("SELECT min(hour) FROM dirty WHERE hour BETWEEN ? AND ?", (wanted[0], wanted[-1])).fetchone()[0]
    wanted = wanted if dirty is None else range(wanted[0], dirty)
    found = {row[0]: row for row in db.execute(_BETWEEN, (wanted.start, wanted.stop - 1, room))}
    return [found.get(hour, (hour, *_NOTHING)) for hour in wanted]


def lines(hours: Iterable[StoredHour], station: str, scale: BatteryScale) -> Iterator[str]:
    """The points of `hours`, in line protocol. Precision: milliseconds. What is unknown has no field."""
    for key, *values in hours:
        fields = _fields(dict(zip(ROLLED, values, strict=True)), scale)
        if key is not None and (said := [f"{name}={value}" for name, value in fields.items() if value is not None]):
            yield f"energy,station={station} {','.join(said)} {key * HOUR_MS}"


def _fields(row: dict[str, int | None], scale: BatteryScale) -> dict[str, float | None]:
    wh = {str(flow): None if (joules := row[f"{flow}_j"]) is None else round(joules / 3600, 3) for flow in FLOWS}
    lack_ms = row[f"{METERED}_lack_ms"]
    p2, p3, p4 = wh["p2"], wh["p3"], wh["p4"] if scale.has_pv else 0.0
    given, taken = (None, None) if p2 is None or p3 is None or p4 is None else (p3, round(p2 + p4, 3))
    return {
        **{f"{name}_wh": value for name, value in wh.items()},
        "given_wh": given,
        "taken_wh": taken,
        "covered": 0.0 if lack_ms is None else round(1 - lack_ms / HOUR_MS, 4),
        **{name: None if (mean := row[name]) is None else mean / COLUMNS[name].scale for name in ("soc_pct", "estimate_pct")},
        "cycles": None if p3 is None or scale.cycles_per_wh is None else round(p3 * scale.cycles_per_wh, 6),
        "wear": None if p3 is None or scale.wear_per_wh is None else round(p3 * scale.wear_per_wh, 6),
    }


def _next_late(db: sqlite3.Connection, seq: int) -> tuple[int, int, int] | None:
    found: Any = db.execute("SELECT seq, first_ts, last_ts FROM late WHERE seq > ? ORDER BY seq LIMIT 1", (seq,)).fetchone()
    return None if found is None else (int(found[0]), int(found[1]), int(found[2]))
