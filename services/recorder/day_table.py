"""Energy of local days, kept ready: five years are two thousand rows instead of forty thousand hours."""

import sqlite3
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.recorder import schema
from services.recorder.energy_table import NOTHING, SUMS, Energies, Sums, Tally, energies_of, not_rolled_up
from services.recorder.journal import Journal
from services.recorder.rollups import HOUR, HOUR_S, QUARTER, SUMMED, Level

MOST_DAYS = 60
"""In one transaction: some milliseconds."""

_EPOCH = date(1970, 1, 1)
_STORE = f"INSERT OR REPLACE INTO day VALUES (?, ?, {', '.join('?' * len(SUMMED))})"  # noqa: S608 - fixed length


def by_day(db: sqlite3.Connection, first: date, last: date, zone: ZoneInfo, max_gap_s: float) -> dict[date, Energies]:
    """Every local day from `first` up to before `last`, be it 23, 24 or 25 hours long. Raises sqlite3.Error."""
    keys = range((first - _EPOCH).days, (last - _EPOCH).days)
    midnights = [_midnight_s(key, zone) for key in [*keys, keys.stop]]
    found: dict[int, Sums] = {}
    if rows := db.execute("SELECT * FROM day WHERE key >= ? AND key < ? AND zone = ?", (keys.start, keys.stop, zone.key)).fetchall():
        found = {row[0]: row[2:] for row in rows}
    level = _level(midnights)
    if lacking := [key for key in keys if key not in found]:
        found |= _summed(db, [(key, midnights[key - keys.start], midnights[key - keys.start + 1]) for key in lacking], level)
    fresh: dict[int, Tally] = {}
    for part, sums in not_rolled_up(db, midnights[0], midnights[-1], level, max_gap_s):
        fresh.setdefault(keys.start + bisect_right(midnights, part * level.width_s) - 1, Tally()).add(sums)
    for key, tally in fresh.items():
        tally.add(found.get(key, NOTHING))
        found[key] = tally.sums()
    return {first + timedelta(days=i): energies_of(found.get(key, NOTHING), midnights[i], midnights[i + 1]) for i, key in enumerate(keys)}


def keep_days(journal: Journal, zone: ZoneInfo) -> bool:
    """Sum up some days that are over and have no row, or one of another time zone. Whether there were any. Raises JournalError."""
    first = journal.ask("SELECT min(key) FROM hour")[0][0]
    until = journal.ask("SELECT value FROM meta WHERE name = ?", (schema.ROLLED_UNTIL,))
    if first is None or not until:
        return False
    keys = range(_local_key(first * HOUR_S, zone), _local_key(until[0][0], zone))
    where = "FROM day WHERE key >= ? AND key < ? AND zone = ?"
    if journal.ask(f"SELECT count(*) {where}", (keys.start, keys.stop, zone.key))[0][0] == len(keys):
        return False
    have = {key for (key,) in journal.ask(f"SELECT key {where}", (keys.start, keys.stop, zone.key))}
    lacking = [key for key in keys if key not in have][:MOST_DAYS]
    days = [(key, _midnight_s(key, zone), _midnight_s(key + 1, zone)) for key in lacking]
    with journal.transaction() as db:
        found = _summed(db, days, _level([at_s for _, *ends in days for at_s in ends]))
        db.executemany(_STORE, ((key, zone.key, *found.get(key, NOTHING)) for key in lacking))
    return True


def _summed(db: sqlite3.Connection, days: Sequence[tuple[int, int, int]], level: Level) -> dict[int, Sums]:
    """The sums of days (key, and from and to in epoch seconds) that have any, from the rollups of `level`."""
    # Days that stand in a table, in order, let SQLite walk the hours once; grouped by a reckoned number it would sort them first.
    db.execute("CREATE TEMP TABLE IF NOT EXISTS asked (number INTEGER PRIMARY KEY, first INTEGER, last INTEGER)")
    db.execute("DELETE FROM temp.asked")
    db.executemany(
        "INSERT INTO temp.asked VALUES (?, ?, ?)", ((key, begin_s // level.width_s, end_s // level.width_s) for key, begin_s, end_s in days)
    )
    query = f"SELECT number, {SUMS} FROM temp.asked CROSS JOIN {level.table} ON key >= first AND key < last GROUP BY number"  # noqa: S608
    return {row[0]: row[1:] for row in db.execute(query.replace("?3", str(level.width_s * 1000)))}


def _level(midnights: Sequence[int]) -> Level:
    return HOUR if all(at_s % HOUR_S == 0 for at_s in midnights) else QUARTER


def _midnight_s(key: int, zone: ZoneInfo) -> int:
    day = _EPOCH + timedelta(days=key)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def _local_key(at_s: int, zone: ZoneInfo) -> int:
    return (datetime.fromtimestamp(at_s, UTC).astimezone(zone).date() - _EPOCH).days
