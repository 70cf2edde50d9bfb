"""The journal: one SQLite file that only the recorder opens. What `write` has returned from survives a power cut.

`reading` holds one wide row for each distinct time in milliseconds, `state` what changed and when, as messages.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from services.recorder.columns import COLUMNS, INDEX, NAMES, Row, empty_row

FILE_NAME = "journal.db"
SCHEMA = 1

_CREATE = f"""
BEGIN IMMEDIATE;
CREATE TABLE reading (ts INTEGER PRIMARY KEY, {", ".join(f"{name} INTEGER" for name in NAMES)});
CREATE TABLE state (topic TEXT NOT NULL, ts INTEGER NOT NULL, payload TEXT NOT NULL);
CREATE INDEX state_by_topic ON state (topic, ts);
CREATE VIEW event AS
    SELECT substr(topic, 7) AS id, ts, payload, max(rowid) AS written FROM state
    WHERE topic GLOB 'event/*' AND topic NOT GLOB 'event/*/*' GROUP BY topic;
PRAGMA user_version = {SCHEMA};
COMMIT;
"""  # noqa: S608 - fixed names
# A later reading of the same time fills in what the row lacks; repeated, it changes nothing.
_FOLD = (
    f"INSERT INTO reading VALUES ({', '.join('?' * (len(NAMES) + 1))}) ON CONFLICT (ts) DO UPDATE SET "  # noqa: S608 - fixed names
    + ", ".join(f"{name} = coalesce(excluded.{name}, {name})" for name in NAMES)
)
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


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
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise _explain(error, path) from error
        try:
            self._prepare()
        except (JournalError, sqlite3.Error) as error:
            self._db.close()
            raise (error if isinstance(error, JournalError) else _explain(error, path)) from error

    def _prepare(self) -> None:
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise JournalError(
                f"{self.path} was written by a newer version (its schema is {version}, this one knows {SCHEMA}); upgrade, or move it away"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if version == 0:
            self._db.executescript(_CREATE)
        elif (verdict := self._db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise JournalCorrupt(f"{self.path} is damaged: {' '.join(verdict.split())}")

    def write(self, rows: Mapping[int, Row], states: Iterable[StateRow] = ()) -> int:
        """Store readings (by time in ms) and states in one transaction, on disk once this returns: how many times were written.

        A state whose topic, time and payload are there already is not stored twice. Raises JournalError, and
        then nothing of it has been stored.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(_FOLD, ((ts_ms, *row) for ts_ms, row in rows.items()))
            self._db.executemany(
                "INSERT INTO state SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM state WHERE topic = ?1 AND ts = ?2 AND payload = ?3)",
                ((state.topic, state.ts_ms, state.payload) for state in states),
            )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.rollback()
            raise _explain(error, self.path) from error
        return len(rows)

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
        return {topic: payload for topic, payload, _ in self._ask("SELECT topic, payload, max(rowid) FROM state GROUP BY topic")}

    def last_reading_ms(self) -> int | None:
        """The time of the newest row. Raises JournalError."""
        found: int | None = self._ask("SELECT max(ts) FROM reading")[0][0]
        return found

    def _ask(self, query: str) -> list[Any]:
        try:
            return self._db.execute(query).fetchall()
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error

    def close(self) -> None:
        """Fold the WAL into the file and let go of it."""
        self._db.close()


def open_or_replace(path: Path, stamp: str) -> tuple[Journal, str | None]:
    """Open the journal; a damaged one is set aside under a name with `stamp` and a new one begun.

    Returns the journal and what to tell the person, if anything. Raises JournalError when neither can be done.
    """
    try:
        return Journal(path), None
    except JournalCorrupt as damage:
        aside = path.with_name(f"{path.name}.corrupt-{stamp}")
        try:
            for suffix in ("-wal", "-shm", ""):  # the file itself last: while it stands, the next start finds the damage again
                if (part := path.with_name(path.name + suffix)).exists():
                    part.rename(aside.with_name(aside.name + suffix))
        except OSError as error:
            raise _explain(error, path) from error
        return Journal(path), f"{damage}; it was set aside as {aside.name} and a new journal begun"


def to_ms(ts: datetime) -> int:
    """Milliseconds since the epoch, as the journal counts."""
    return round(ts.timestamp() * 1000)


def _explain(error: Exception, path: Path) -> JournalError:
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
        return JournalCorrupt(f"{path} is damaged: {error}")
    return JournalError(f"{path}: {error}")
