"""Keeps the rollups true to the readings: hour after hour as they end, and anew where something came late."""

import sqlite3
from collections.abc import Iterator
from time import perf_counter

from services.recorder import samples, schema
from services.recorder.journal import Journal
from services.recorder.rollups import COUNTERS, HOUR_S, MEANS, MINUTE_S, ROLLED, Level, Others, RolledRow, fuller, roll_hour

SLICE_S = 0.02
"""Real seconds after which the writing thread is given back: so long may a commit have to wait."""
MOST_HOURS = 24
"""In one transaction."""

_HOUR_MS = HOUR_S * 1000
_FIGURES = [*(f"round(avg({name}))" for name in MEANS), *(f"max({name})" for name in COUNTERS)]
_OTHERS = f"SELECT ts / {MINUTE_S * 1000}, {', '.join(_FIGURES)} FROM reading WHERE ts >= ? AND ts < ? GROUP BY 1"  # noqa: S608 - fixed names


def keep_up(journal: Journal, max_gap_s: float, reach_ms: int) -> bool:
    """Roll up hours for about SLICE_S: first what is to be done anew, then what has ended. Whether more is to be done.

    An hour has ended once there are readings `reach_ms` after it. Raises JournalError.
    """
    newest_ms = journal.last_reading_ms()
    if newest_ms is None:
        return False
    began = perf_counter()
    with journal.transaction() as db:
        rolled_until_s = schema.meta(db, schema.ROLLED_UNTIL)
        count = 0
        for hour in _due(db, rolled_until_s, newest_ms - reach_ms, round(max_gap_s * 1000)):
            _roll(db, hour, max_gap_s)
            count += 1
            if count >= MOST_HOURS or perf_counter() - began > SLICE_S:
                break
        until_s = schema.meta(db, schema.ROLLED_UNTIL)
    if until_s is not None:
        journal.rolled_until(until_s)
    return count > 0


def _due(db: sqlite3.Connection, rolled_until_s: int | None, ended_ms: int, max_gap_ms: int) -> Iterator[int]:
    while (dirty := db.execute("SELECT hour FROM dirty ORDER BY hour LIMIT 1").fetchone()) is not None:
        db.execute("DELETE FROM dirty WHERE hour = ?", dirty)
        yield dirty[0]
    while True:
        # Hours without readings are passed over, however many there are, unless power is known from before to after them.
        after_ms = -(2**62) if rolled_until_s is None else rolled_until_s * 1000
        following = db.execute("SELECT min(ts) FROM reading WHERE ts >= ?", (after_ms,)).fetchone()[0]
        if following is None:
            return
        joined = rolled_until_s is not None and following - after_ms <= max_gap_ms
        hour = after_ms // _HOUR_MS if joined else following // _HOUR_MS
        if hour >= ended_ms // _HOUR_MS:
            return
        rolled_until_s = (hour + 1) * HOUR_S
        schema.set_meta(db, schema.ROLLED_UNTIL, rolled_until_s)
        yield hour


def _roll(db: sqlite3.Connection, hour: int, max_gap_s: float) -> None:
    merge_ms = max(schema.meta(db, schema.DROPPED_UNTIL) or 0, schema.meta(db, schema.MERGED_UNTIL) or 0)
    for level, rows in rolled(db, hour, max_gap_s).items():
        per_hour = HOUR_S // level.width_s
        keys = (hour * per_hour, (hour + 1) * per_hour)
        if hour * _HOUR_MS < merge_ms:
            # The hour's readings, or some of them, are gone: what is there now is not all that was known.
            for key, *row in db.execute(f"SELECT * FROM {level.table} WHERE key >= ? AND key < ?", keys):  # noqa: S608
                rows[key] = fuller(tuple(row), rows[key]) if key in rows else tuple(row)
        db.execute(f"DELETE FROM {level.table} WHERE key >= ? AND key < ?", keys)  # noqa: S608
        store(db, level, rows)


def rolled(db: sqlite3.Connection, hour: int, max_gap_s: float) -> dict[Level, dict[int, RolledRow]]:
    """The rows that the hour's readings make. Raises sqlite3.Error."""
    window = (hour * _HOUR_MS, (hour + 1) * _HOUR_MS)
    others: dict[int, Others] = {
        minute: [None if value is None else int(value) for value in values] for minute, *values in db.execute(_OTHERS, window)
    }
    return roll_hour(hour, samples.flows(db, *window, max_gap_s), others)


def store(db: sqlite3.Connection, level: Level, rows: dict[int, RolledRow]) -> None:
    """Put rolled rows into their table. Raises sqlite3.Error."""
    values = ", ".join("?" * (len(ROLLED) + 1))
    db.executemany(f"INSERT OR REPLACE INTO {level.table} VALUES ({values})", ((key, *row) for key, row in rows.items()))  # noqa: S608


def pending(db: sqlite3.Connection, start_s: int, end_s: int) -> range:
    """The hours of a time in which there may be readings that are not rolled up yet. Raises sqlite3.Error."""
    rolled_until_s = schema.meta(db, schema.ROLLED_UNTIL)
    first_ms, last_ms = db.execute("SELECT (SELECT min(ts) FROM reading), (SELECT max(ts) FROM reading)").fetchone()
    if last_ms is None:
        return range(0)
    begin_s = first_ms // 1000 if rolled_until_s is None else rolled_until_s
    return range(max(start_s, begin_s) // HOUR_S, -(-min(end_s, last_ms // 1000 + 1) // HOUR_S))
