"""Drops readings that are older than they are to be kept, and gives their room back, in pieces that hold nobody up."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.recorder import schema
from services.recorder.following import Cursor
from services.recorder.journal import Journal, to_ms

SLICE_ROWS = 1_000
SLICE_PAGES = 100
VACUUM_EVERY_S = 30 * 86_400
VACUUM_FROM = 0.1
"""Share of the file that must be free before it is worth giving back; less is soon filled again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What retention has to respect."""

    raw: timedelta
    """For so long readings are kept as they came; the rollups stay."""
    fed: Cursor | None = None
    """A feed that is on has come so far: what lies behind waits for it. None: there is no feed."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What one slice came to."""

    more: bool
    """Whether there is more to do at once."""
    unfed: int = 0
    """Readings that were dropped though the feed had not come so far."""
    waiting: bool = False
    """Readings are kept beyond their time, for the feed."""


def drop_slice(journal: Journal, now: datetime, kept: Kept) -> Dropped:
    """Drop at most SLICE_ROWS readings that are old enough and rolled up.

    Those that a feed still needs are kept as long again; then they go too, and are counted. Raises JournalError.
    """
    limit_ms = to_ms(now - kept.raw)
    waiting = False
    with journal.transaction() as db:
        fed_ms = None if kept.fed is None else _fed_until_ms(db, kept.fed)
        if fed_ms is not None and fed_ms < limit_ms:
            limit_ms = max(fed_ms, to_ms(now - 2 * kept.raw))
            waiting = True
        rolled_until_s = schema.meta(db, schema.ROLLED_UNTIL)
        oldest_ms = db.execute("SELECT min(ts) FROM reading").fetchone()[0]
        waiting = waiting and oldest_ms is not None and oldest_ms < to_ms(now - kept.raw)
        if rolled_until_s is None or db.execute("SELECT 1 FROM dirty LIMIT 1").fetchone():
            return Dropped(more=False, waiting=waiting)
        # Whole hours only, and one to spare: the hour after may yet be rolled up anew, and looks back.
        limit_ms = min(limit_ms, rolled_until_s * 1000 - 3_600_000) // 3_600_000 * 3_600_000
        found = db.execute("SELECT ts FROM reading WHERE ts < ? ORDER BY ts LIMIT ?", (limit_ms, SLICE_ROWS)).fetchall()
        if not found:
            return Dropped(more=False, waiting=waiting)
        last_ms = found[-1][0]
        dropped_ms = last_ms + 1 if len(found) == SLICE_ROWS else limit_ms
        db.execute("DELETE FROM reading WHERE ts <= ?", (last_ms,))
        db.execute("DELETE FROM late WHERE last_ts <= ?", (last_ms,))
        schema.set_meta(db, schema.DROPPED_UNTIL, max(dropped_ms, schema.meta(db, schema.DROPPED_UNTIL) or dropped_ms))
    unfed = 0 if fed_ms is None else sum(ts >= fed_ms for (ts,) in found)
    return Dropped(more=len(found) == SLICE_ROWS, unfed=unfed, waiting=waiting)


def _fed_until_ms(db: sqlite3.Connection, fed: Cursor) -> int:
    """Every reading before this has been fed, and none of them has changed since."""
    late = db.execute("SELECT min(first_ts) FROM late WHERE seq > ?", (fed.late_seq,)).fetchone()[0]
    return fed.ts_ms + 1 if late is None else min(fed.ts_ms + 1, int(late))


def vacuum_slice(journal: Journal, now: datetime) -> bool:
    """Once a month give free pages back to the disk, SLICE_PAGES at a time. Whether there are more. Raises JournalError."""
    now_s = int(now.timestamp())
    last_s = journal.ask("SELECT value FROM meta WHERE name = ?", (schema.VACUUMED_AT,))
    if last_s and now_s - last_s[0][0] < VACUUM_EVERY_S:
        return False
    free, pages = journal.ask("PRAGMA freelist_count")[0][0], journal.ask("PRAGMA page_count")[0][0]
    if journal.ask("PRAGMA auto_vacuum")[0][0] and free >= max(VACUUM_FROM * pages, 1) and _give_back(journal, free):
        return True
    with journal.transaction() as db:
        schema.set_meta(db, schema.VACUUMED_AT, now_s)
    return False


def _give_back(journal: Journal, free: int) -> bool:
    journal.ask(f"PRAGMA incremental_vacuum({SLICE_PAGES})")
    return int(journal.ask("PRAGMA freelist_count")[0][0]) < free
