"""Energy of every position over any time, from the cheapest table: hours, quarters and minutes inside, readings at ragged ends.

What is not rolled up yet is integrated from the readings, so that an answer never depends on how far the rollups have come.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.core.energy import UNKNOWN, Energy
from services.core.positions import Position
from services.recorder import keeping, samples, schema
from services.recorder.rollups import FLOWS, HOUR, HOUR_S, LEVELS, METERED, MINUTE, QUANTITIES, QUARTER, Level, RolledRow

Span = tuple[float, float]
"""From and to, in epoch seconds."""
_SUMS = ", ".join([*(f"sum({flow}_j), sum(?3 - {flow}_lack_ms)" for flow in FLOWS), f"sum(?3 - {METERED}_lack_ms)"])
_NOTHING: tuple[float | None, ...] = (None,) * (2 * len(FLOWS) + 1)
_NAMES = tuple(str(flow) for flow in FLOWS)
_METERED = (Position.P1, Position.P2, Position.P3)


@dataclass(frozen=True, slots=True)
class Energies:
    """What a time came to."""

    start_s: float
    end_s: float
    flows: Mapping[str, Energy]
    """By position (`p1` …) and quantity (`import`, `load`, `avoided`)."""
    metered: float
    """Share of the time in which P1, P2 and P3 are all known."""


class _Tally:
    """Joules and known milliseconds of each flow, summed up piece by piece."""

    def __init__(self) -> None:
        self.joules = [0.0] * len(FLOWS)
        self.known_ms = [0.0] * (len(FLOWS) + 1)

    def add(self, sums: Sequence[float | None], share: float = 1.0) -> None:
        """`sums` are those of `_SUMS`."""
        for i in range(len(FLOWS)):
            self.joules[i] += (sums[2 * i] or 0) * share
            self.known_ms[i] += (sums[2 * i + 1] or 0) * share
        self.known_ms[-1] += (sums[-1] or 0) * share

    def energies(self, start_s: float, end_s: float) -> Energies:
        """What the time from `start_s` to `end_s` came to."""
        return _energies(self.sums(), start_s, end_s)

    def sums(self) -> tuple[float | None, ...]:
        """In the form of `_SUMS`."""
        return (*(figure for i in range(len(FLOWS)) for figure in (self.joules[i], self.known_ms[i])), self.known_ms[-1])


def _energies(sums: Sequence[float | None], start_s: float, end_s: float) -> Energies:
    """From sums in the form of `_SUMS`."""
    length_ms = (end_s - start_s) * 1000
    flows = {}
    for name, joules, known_ms in zip(_NAMES, sums[::2], sums[1::2], strict=False):
        share = known_ms / length_ms if known_ms else 0.0
        flows[name] = Energy((joules or 0.0) / HOUR_S, share if share < 1 else 1.0) if share else UNKNOWN
    return Energies(start_s, end_s, flows, min((sums[-1] or 0.0) / length_ms, 1.0))


def of_spans(db: sqlite3.Connection, spans: Sequence[Span], max_gap_s: float) -> list[Energies]:
    """The energies of each span. Raises sqlite3.Error."""
    rolled_until_s = schema.meta(db, schema.ROLLED_UNTIL) or 0
    dropped_s = (schema.meta(db, schema.DROPPED_UNTIL) or 0) / 1000
    found = []
    for start_s, end_s in spans:
        tally = _Tally()
        for begin_s, stop_s, level in _pieces(start_s, end_s, rolled_until_s, len(LEVELS) - 1):
            if level is not None:
                _add_table(db, tally, level, int(begin_s) // level.width_s, int(stop_s) // level.width_s)
            elif stop_s <= dropped_s:
                minute = int(begin_s // MINUTE.width_s)
                _add_table(db, tally, MINUTE, minute, minute + 1, (stop_s - begin_s) / MINUTE.width_s)
            else:
                _add_readings(db, tally, begin_s, stop_s, max_gap_s)
        found.append(tally.energies(start_s, end_s))
    return found


def _pieces(start_s: float, end_s: float, rolled_until_s: int, coarsest: int) -> Iterator[tuple[float, float, Level | None]]:
    """Cut a span into what each table holds whole; None is for what only the readings know, at most a minute where rolled up."""
    if end_s <= start_s:
        return
    if start_s >= rolled_until_s or coarsest < 0:
        yield start_s, end_s, None
        return
    if end_s > rolled_until_s:
        yield from _pieces(start_s, rolled_until_s, rolled_until_s, coarsest)
        yield rolled_until_s, end_s, None
        return
    width_s = LEVELS[coarsest].width_s
    first, last = -(-start_s // width_s) * width_s, end_s // width_s * width_s
    if first < last:
        yield first, last, LEVELS[coarsest]
        yield from _pieces(start_s, first, rolled_until_s, coarsest - 1)
        yield from _pieces(last, end_s, rolled_until_s, coarsest - 1)
    elif coarsest == 0 and first == last and start_s < first < end_s:  # the ends of two minutes
        yield start_s, first, None
        yield first, end_s, None
    else:
        yield from _pieces(start_s, end_s, rolled_until_s, coarsest - 1)


def _add_table(db: sqlite3.Connection, tally: _Tally, level: Level, first: int, last: int, share: float = 1.0) -> None:
    query = f"SELECT {_SUMS} FROM {level.table} WHERE key >= ?1 AND key < ?2"  # noqa: S608 - fixed names
    tally.add(db.execute(query, (first, last, level.width_s * 1000)).fetchone(), share)


def _add_readings(db: sqlite3.Connection, tally: _Tally, begin_s: float, stop_s: float, max_gap_s: float) -> None:
    flows = samples.flows(db, round(begin_s * 1000), round(stop_s * 1000), max_gap_s)
    length_ms = (stop_s - begin_s) * 1000
    sums: list[float | None] = []
    for energy in (
        *(flows.energy(position, begin_s, stop_s) for position in Position),
        *(flows.quantity(quantity, begin_s, stop_s) for quantity in QUANTITIES),
    ):
        sums += [None if energy.energy_wh is None else energy.energy_wh * HOUR_S, energy.covered * length_ms]
    tally.add([*sums, flows.covered(_METERED, begin_s, stop_s) * length_ms])


def by_hour(db: sqlite3.Connection, first: int, last: int, max_gap_s: float) -> list[Energies]:
    """Every hour from `first` up to before `last` (counted since the epoch). Raises sqlite3.Error."""
    rows: dict[int, RolledRow] = {
        key: tuple(row) for key, *row in db.execute("SELECT * FROM hour WHERE key >= ? AND key < ?", (first, last))
    }
    for hour in keeping.pending(db, first * HOUR_S, last * HOUR_S):
        rows |= keeping.rolled(db, hour, max_gap_s)[HOUR]
    found = []
    for hour in range(first, last):
        tally = _Tally()
        if (row := rows.get(hour)) is not None:
            tally.add(_known(row, HOUR))
        found.append(tally.energies(hour * HOUR_S, (hour + 1) * HOUR_S))
    return found


def by_day(db: sqlite3.Connection, first: date, last: date, zone: ZoneInfo, max_gap_s: float) -> dict[date, Energies]:
    """Every local day from `first` up to before `last`, be it 23, 24 or 25 hours long. Raises sqlite3.Error."""
    days = [first + timedelta(days=i) for i in range((last - first).days)]
    midnights = [int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) for day in [*days, last]]
    level = HOUR if all(at_s % HOUR_S == 0 for at_s in midnights) else QUARTER
    # Days that stand in a table, in order, let SQLite walk the hours once; grouped by a reckoned number it would sort them first.
    db.execute("CREATE TEMP TABLE day (number INTEGER PRIMARY KEY, first INTEGER, last INTEGER)")
    keys = [at_s // level.width_s for at_s in midnights]
    db.executemany("INSERT INTO temp.day VALUES (?, ?, ?)", zip(range(len(days)), keys, keys[1:], strict=False))
    query = f"SELECT number, {_SUMS} FROM temp.day CROSS JOIN {level.table} ON key >= first AND key < last GROUP BY number"  # noqa: S608
    found = {row[0]: row[1:] for row in db.execute(query.replace("?3", str(level.width_s * 1000)))}
    fresh: dict[int, _Tally] = {}
    for hour in keeping.pending(db, midnights[0], midnights[-1]):
        for key, row in keeping.rolled(db, hour, max_gap_s)[level].items():
            if keys[0] <= key < keys[-1]:
                fresh.setdefault(bisect_right(keys, key) - 1, _Tally()).add(_known(row, level))
    for number, tally in fresh.items():
        tally.add(found.get(number, _NOTHING))
        found[number] = tally.sums()
    return {day: _energies(found.get(i, _NOTHING), midnights[i], midnights[i + 1]) for i, day in enumerate(days)}


def _known(row: RolledRow, level: Level) -> list[float | None]:
    """A rolled row in the form of `_SUMS`."""
    width_ms = level.width_s * 1000
    energies = [None if (value := row[i]) is None else value if i % 2 == 0 else width_ms - value for i in range(2 * len(FLOWS))]
    metered = row[2 * len(FLOWS)]
    return [*energies, None if metered is None else width_ms - metered]


def joined(parts: Sequence[Energies]) -> Energies:
    """Consecutive times as one: a month of its days."""
    tally = _Tally()
    for part in parts:
        length_ms = (part.end_s - part.start_s) * 1000
        sums: list[float | None] = []
        for flow in FLOWS:
            energy = part.flows[str(flow)]
            sums += [None if energy.energy_wh is None else energy.energy_wh * HOUR_S, energy.covered * length_ms]
        tally.add([*sums, part.metered * length_ms])
    return tally.energies(parts[0].start_s, parts[-1].end_s)
