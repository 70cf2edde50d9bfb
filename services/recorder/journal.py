"""The journal: one SQLite file that only the recorder opens. What `write` has returned from survives a power cut.

`reading` holds one wide row for each distinct time in milliseconds, `state` what changed and when, as messages; `minute`,
`quarter` and `hour` are rolled up from the readings (`services.recorder.keeping`) and outlive them.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from services.recorder import schema
from services.recorder.columns import COLUMNS, INDEX, NAMES, Row, empty_row
from services.recorder.rollups import HOUR_S
from services.recorder.schema import SCHEMA

FILE_NAME = "journal.db"
SETTLED_MS = 60_000
"""Readings older than the newest by more than this count as late; those who follow the journal come this close to its end."""
REACH_MS = 150_000
"""How far into the hour before a reading may reach, unless somebody says otherwise."""

# A later reading of the same time fills in what the row lacks; repeated, it changes nothing.
_FOLD = (
    f"INSERT INTO reading VALUES ({', '.join('?' * (len(NAMES) + 1))}) ON CONFLICT (ts) DO UPDATE SET "  # noqa: S608 - fixed names
    + ", ".join(f"{name} = coalesce(excluded.{name}, {name})" for name in NAMES)
)
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SMALLEST = 512
"""No database is smaller: a file cut to less would pass for a new one, and its WAL be thrown away."""
_HOUR_MS = HOUR_S * 1000


class JournalError(Exception):
    """The journal cannot be opened or written; the message says why, for a person."""


class JournalCorrupt(JournalError):
    """The file is damaged, or no journal at all."""


@dataclass(frozen=True, slots=True)
class StateRow:
    """A message as it stands in the journal: `topic` without the station's root, `payload` as JSON text."""

    topic: str
    ts_ms: int
    payload: str


class Journal:
    """The one writer. Every call blocks, and belongs to one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises JournalError, JournalCorrupt."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _check(path)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise explain(error, path) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise explain(error, path) from error

    def _prepare(self) -> None:
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # it must come before all else
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if version == 0:
            schema.create(self._db)
        else:
            schema.migrate(self._db, version)
        self._newest_ms: int | None = self._db.execute("SELECT max(ts) FROM reading").fetchone()[0]
        self._rolled_until_s: int | None = schema.meta(self._db, schema.ROLLED_UNTIL)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing of what is done inside, on disk at its end. Raises JournalError, and then nothing of it has been stored."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.rollback()
            if isinstance(error, sqlite3.Error):
                raise explain(error, self.path) from error
            raise

    def write(
        self, rows: Mapping[int, Row], states: Iterable[StateRow] = (), *, settled_ms: int = SETTLED_MS, reach_ms: int = REACH_MS
    ) -> int:
        """Store readings (by time in ms) and states in one transaction, on disk once this returns: how many times were written.

        A state whose topic, time and payload are there already is not stored twice. What comes later than `settled_ms`
        is noted for those who follow, and what comes into an hour that has been rolled up, or within `reach_ms` after
        it, lets that be rolled up anew. Raises JournalError, and then nothing of it has been stored.
        """
        with self.transaction() as db:
            db.executemany(_FOLD, ((ts_ms, *row) for ts_ms, row in rows.items()))
            if rows:
                self.note_late(db, rows, settled_ms, reach_ms)
            db.executemany(
                "INSERT INTO state SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM state WHERE topic = ?1 AND ts = ?2 AND payload = ?3)",
                ((state.topic, state.ts_ms, state.payload) for state in states),
            )
        if rows:
            newest = max(rows)
            self._newest_ms = newest if self._newest_ms is None else max(self._newest_ms, newest)
        return len(rows)

    def note_late(self, db: sqlite3.Connection, rows: Collection[int], settled_ms: int = SETTLED_MS, reach_ms: int = REACH_MS) -> None:
        """Within a transaction: note which of the rows (by time in ms) come late, and which hours they change."""
        if self._newest_ms is not None:
            late = sorted(ts for ts in rows if ts <= self._newest_ms - settled_ms)
            db.executemany("INSERT INTO late (first_ts, last_ts) VALUES (?, ?)", _ranges(late))
        if self._rolled_until_s is not None:
            rolled_until_ms, reach_hours = self._rolled_until_s * 1000, -(-reach_ms // _HOUR_MS)
            touched = {ts // _HOUR_MS + i for ts in rows if ts < rolled_until_ms + reach_ms for i in range(-reach_hours, reach_hours + 1)}
            hours = ((hour,) for hour in touched if hour * HOUR_S < self._rolled_until_s)
            db.executemany("INSERT OR IGNORE INTO dirty VALUES (?)", hours)

    def rolled_until(self, ts_s: int) -> None:
        """Tell that every hour before `ts_s` has been rolled up; the caller has said so in the file too."""
        self._rolled_until_s = ts_s

    def append_rows(self, rows: Iterable[tuple[datetime, Mapping[str, float | None]]]) -> int:
        """Store many rows of past readings at once, in their units (`{"p1_w": 93.5, "soc_pct": 71.0}`); returns how many.

        Names are those of `columns.COLUMNS`. Raises ValueError for an unknown name, JournalError.
        """
        encoded: dict[int, Row] = {}
        for ts, values in rows:
            row = encoded.setdefault(to_ms(ts), empty_row())
            for name, value in values.items():
                if name not in INDEX:
                    raise ValueError(f"{name!r} is no column of the journal; use {', '.join(NAMES)}")
                if value is not None:
                    row[INDEX[name]] = COLUMNS[name].encode(value)
        return self.write(encoded)

    def last_states(self) -> dict[str, str]:
        """The last payload under each topic. Raises JournalError."""
        return {topic: payload for topic, payload, _ in self.ask("SELECT topic, payload, max(rowid) FROM state GROUP BY topic")}

    def last_reading_ms(self) -> int | None:
        """The time of the newest row. Raises JournalError."""
        found: int | None = self.ask("SELECT max(ts) FROM reading")[0][0]
        return found

    def ask(self, query: str, values: tuple[object, ...] = ()) -> list[Any]:
        """What `query` finds. Raises JournalError."""
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def close(self) -> None:
        """Fold the WAL into the file and let go of it."""
        self._db.close()


def _ranges(times_ms: list[int]) -> list[tuple[int, int]]:
    """First and last of each run of times that lie no more than an hour apart."""
    if not times_ms:
        return []
    breaks = [i for i, (left, right) in enumerate(pairwise(times_ms), start=1) if right - left > _HOUR_MS]
    return [(times_ms[first], times_ms[last - 1]) for first, last in pairwise([0, *breaks, len(times_ms)])]


def _check(path: Path) -> None:
    """Look at an existing file without touching it: to close a damaged file that was opened for writing would lose its WAL.

    Raises JournalError, JournalCorrupt, sqlite3.Error, OSError.
    """
    if not path.exists():
        return
    wal = path.with_name(path.name + "-wal")
    if path.stat().st_size < _SMALLEST:
        if wal.exists() and wal.stat().st_size:
            raise JournalCorrupt(f"{path} is damaged: it has been cut to {path.stat().st_size} bytes")
        return
    db = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
    try:
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise JournalError(
                f"{path} was written by a newer version (its schema is {version}, this one knows {SCHEMA}); upgrade, or move it away"
            )
        if (verdict := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise JournalCorrupt(f"{path} is damaged: {' '.join(verdict.split())}")
        if version:
            db.execute("SELECT max(ts) FROM reading").fetchone()
    finally:
        db.close()


def open_or_replace(path: Path, stamp: str) -> tuple[Journal, str | None]:
    """Open the journal; a damaged one is set aside under a name with `stamp` (a time, in digits but for a T) and a new one begun.

    Returns the journal and what to tell the person, if anything. Raises JournalError when neither can be done.
    """
    try:
        return Journal(path), None
    except JournalCorrupt as damage:
        aside = path.with_name(f"{path.name}.corrupt-{stamp}")
        try:
            for suffix in ("-shm", "-wal", ""):  # the file itself last: while it stands, the next start finds the damage again
                if (part := path.with_name(path.name + suffix)).exists():
                    part.rename(aside.with_name(aside.name + suffix))
        except OSError as error:
            raise explain(error, path) from error
        fresh = Journal(path)
        # What is recovered from the damaged file keeps the order of its rows: all that comes from now on is newer.
        with fresh.transaction() as db:
            begun = (int("0" + "".join(c for c in stamp if c.isdigit())), path.name, aside.name)
            db.execute(
                "INSERT INTO state (rowid, topic, ts, payload) VALUES (?1, 'journal/begun', 0, json_object('file', ?2, 'aside', ?3))", begun
            )
        return fresh, f"{damage}; it was set aside as {aside.name} and a new journal begun"


def to_ms(ts: datetime) -> int:
    """Milliseconds since the epoch, as the journal counts."""
    return round(ts.timestamp() * 1000)


def explain(error: Exception, path: Path) -> JournalError:
    """What went wrong at `path`, for a person."""
    if isinstance(error, JournalError):
        return error
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
        return JournalCorrupt(f"{path} is damaged: {error}")
    return JournalError(f"{path}: {error}")
