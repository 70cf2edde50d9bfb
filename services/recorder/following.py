"""Following the journal by a cursor: each row at least once, late ones too, for whoever carries them elsewhere.

Rows come in order of time up to a little before the newest. What is written further back than that is noted by the journal
in `late`, and told again as a whole; so a follower must take the same row twice for one.
"""

import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from services.recorder.columns import COLUMNS

FIRST_MS = 0

# SQLite divides as Python does, a dozen times as quickly.
_VALUES = ", ".join(f"{name} / {column.scale}.0" for name, column in COLUMNS.items())
_QUERY = f"SELECT ts, {_VALUES} FROM reading WHERE ts BETWEEN ? AND ? ORDER BY ts LIMIT ?"  # noqa: S608 - fixed names

FollowedRow = tuple[Any, ...]
"""Time in whole ms, then what was read, in the columns' units and in the order of `columns.NAMES`; None where nothing was read."""


class BadCursor(ValueError):
    """No cursor that this journal gave."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a follower has come."""

    ts_ms: int
    """In order of time."""
    late_seq: int
    """Through what came late …"""
    late_ms: int
    """… and within the next of it."""

    def __str__(self) -> str:
        return f"{self.ts_ms}-{self.late_seq}-{self.late_ms}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """From what `str` gave. Raises BadCursor."""
        if (found := re.fullmatch(r"(\d{1,15})-(\d{1,15})-(\d{1,15})", text)) is None:
            raise BadCursor(f"after: {text[:60]!r} is no cursor; leave it out to begin, then pass on what each answer gives")
        return cls(*(int(part) for part in found.groups()))


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and where to go on."""

    rows: list[FollowedRow]
    cursor: Cursor
    more: bool
    """Whether asking again at once gives more."""


def page(db: sqlite3.Connection, after: Cursor | None, limit: int, settled_ms: int, first_ms: int = FIRST_MS + 1) -> Page:
    """At most `limit` rows after `after` (None: from `first_ms` on). Raises sqlite3.Error."""
    if after is None:
        known = db.execute("SELECT coalesce(max(seq), 0) FROM late").fetchone()[0]
        after = Cursor(first_ms - 1, known, 0)
    rows: list[FollowedRow] = []
    while len(rows) < limit and (entry := _next_late(db, after.late_seq)) is not None:
        seq, first_ms, last_ms = entry
        room = limit - len(rows)
        part = _between(db, max(first_ms, after.late_ms), min(last_ms, after.ts_ms), room)
        rows += part
        after = Cursor(after.ts_ms, after.late_seq, part[-1][0] + 1) if len(part) == room else Cursor(after.ts_ms, seq, 0)
    if room := limit - len(rows):
        newest = db.execute("SELECT max(ts) FROM reading").fetchone()[0]
        part = [] if newest is None else _between(db, after.ts_ms + 1, newest - settled_ms, room)
        rows += part
        after = Cursor(part[-1][0] if part else after.ts_ms, after.late_seq, after.late_ms)
    return Page(rows, after, more=len(rows) == limit)


def _next_late(db: sqlite3.Connection, seq: int) -> tuple[int, int, int] | None:
    found: tuple[int, int, int] | None = db.execute(
        "SELECT seq, first_ts, last_ts FROM late WHERE seq > ? ORDER BY seq LIMIT 1", (seq,)
    ).fetchone()
    return found


def _between(db: sqlite3.Connection, first_ms: int, last_ms: int, limit: int) -> list[Any]:
    return db.execute(_QUERY, (first_ms, last_ms, limit)).fetchall()
