"""What left this house, when, and to whom: each body as it was sent, in a small database of its own."""

import csv
import io
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from services.gateway.aggregator_link.packing import Packed
from services.gateway.csv_cells import safe

FILE = "sent.db"
MAX_BYTES = 64_000_000
"""Bodies are kept packed; beyond this the oldest entries go."""
MAX_DAYS = 400
LONGEST_PAGE = 200
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sent (
    id INTEGER PRIMARY KEY, ts_ms INTEGER NOT NULL, receiver TEXT NOT NULL, route TEXT NOT NULL, kind TEXT NOT NULL,
    records INTEGER NOT NULL, bytes INTEGER NOT NULL, outcome TEXT NOT NULL, attempts INTEGER NOT NULL, body BLOB NOT NULL,
    resume TEXT, open INTEGER NOT NULL
) STRICT
"""
_PLACE = "CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), positions TEXT NOT NULL) STRICT"
_MOVE = "INSERT INTO place VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET positions = excluded.positions"
_COLUMNS = "id, ts_ms, receiver, route, kind, records, bytes, outcome, attempts, body"

UNDER_WAY = "under way"
"""It has been begun: some of it may have left."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that left, or may have."""

    number: int
    ts: datetime
    to: str
    route: Literal["http", "mqtt"]
    kind: str
    records: int
    bytes: int
    outcome: str
    attempts: int
    body: str


class SentLog:
    """Safe from any thread; every call blocks for a moment. Raises OSError when the log cannot be kept."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = folder / FILE
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(self._path, timeout=5, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from error
        with self._open() as db:
            db.execute(_SCHEMA)
            db.execute(_PLACE)

    def begin(
        self, ts: datetime, *, to: str, route: Literal["http", "mqtt"], kind: str, records: int, body: Packed, resume: str | None = None
    ) -> int:
        """Note what is about to leave, before it does. Its number. With `resume` it can be taken up again after a restart."""
        with self._open() as db:
            values = (round(ts.timestamp() * 1000), to, route, kind, records, body.size, UNDER_WAY, 1, body.wire, resume, 1)
            columns = _COLUMNS.removeprefix("id, ") + ", resume, open"
            query = f"INSERT INTO sent ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - fixed names
            number = db.execute(query, values).lastrowid
            if number is not None and number % 50 == 0:
                self._trim(db, values[0])
        return int(number or 0)

    def again(self, number: int) -> None:
        """The same is about to leave once more."""
        with self._open() as db:
            db.execute("UPDATE sent SET attempts = attempts + 1, outcome = ? WHERE id = ?", (UNDER_WAY, number))

    def end(self, number: int, outcome: str, *, moved: str | None = None) -> None:
        """What became of it, for good; and in the same stroke where the station stands now."""
        with self._open() as db:
            db.execute("UPDATE sent SET outcome = ?, open = 0 WHERE id = ?", (outcome[:300], number))
            if moved is not None:
                db.execute(_MOVE, (moved,))

    def waits(self, number: int, why: str) -> None:
        """It was not taken, and is to be sent again as it is."""
        with self._open() as db:
            db.execute("UPDATE sent SET outcome = ? WHERE id = ?", (why[:300], number))

    def place(self) -> str | None:
        """Where the station stood last."""
        with self._open() as db:
            found = db.execute("SELECT positions FROM place").fetchone()
        return None if found is None else str(found[0])

    def move(self, positions: str) -> None:
        """Where it stands now."""
        with self._open() as db:
            db.execute(_MOVE, (positions,))

    def never_left(self, number: int) -> bool:
        """There was nobody to take it. Whether the entry is gone: it stays if an earlier attempt may have left."""
        with self._open() as db:
            return db.execute("DELETE FROM sent WHERE id = ? AND attempts <= 1", (number,)).rowcount > 0

    def unfinished(self) -> list[tuple[int, str, str, int, Packed]]:
        """What was begun and never ended: number, kind, what `resume` said, records and body, the oldest first."""
        with self._open() as db:
            found = db.execute(
                "SELECT id, kind, resume, records, bytes, body FROM sent WHERE open = 1 AND resume IS NOT NULL ORDER BY id"
            ).fetchall()
        return [(number, kind, resume, records, Packed(size, wire)) for number, kind, resume, records, size, wire in found]

    def page(self, before: int | None, limit: int) -> list[Entry]:
        """The latest first, those below `before`."""
        with self._open() as db:
            query = f"SELECT {_COLUMNS} FROM sent WHERE id < ? ORDER BY id DESC LIMIT ?"  # noqa: S608 - fixed names
            return [_entry(row) for row in db.execute(query, (2**62 if before is None else before, min(limit, LONGEST_PAGE)))]

    def lines(self) -> Iterator[str]:
        """All of it as CSV, the oldest first."""
        yield "id,ts,to,route,kind,records,bytes,outcome,attempts,body\r\n"
        last = 0
        while True:
            with self._open() as db:
                query = f"SELECT {_COLUMNS} FROM sent WHERE id > ? ORDER BY id LIMIT 20"  # noqa: S608 - fixed names
                rows = db.execute(query, (last,)).fetchall()
            if not rows:
                return
            for row in rows:
                one, text = _entry(row), io.StringIO()
                fields = (one.number, one.ts.isoformat(), one.to, one.route, one.kind, one.records, one.bytes, one.outcome, one.attempts)
                csv.writer(text).writerow([safe(cell) for cell in (*fields, one.body)])
                yield text.getvalue()
            last = rows[-1][0]

    def last_sent(self) -> datetime | None:
        """When something last left by HTTP and was taken."""
        with self._open() as db:
            found = db.execute(
                "SELECT ts_ms FROM sent WHERE route = 'http' AND outcome IN ('sent', 'had it already') ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return None if found is None else datetime.fromtimestamp(found[0] / 1000, UTC)

    def _trim(self, db: sqlite3.Connection, now_ms: int) -> None:
        db.execute("DELETE FROM sent WHERE ts_ms < ?", (now_ms - MAX_DAYS * 86_400_000,))
        while (db.execute("SELECT sum(length(body)) FROM sent").fetchone()[0] or 0) > self._max_bytes:
            db.execute("DELETE FROM sent WHERE id IN (SELECT id FROM sent ORDER BY id LIMIT 100)")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, self._db:
                yield self._db
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from error


def _entry(row: tuple[int, int, str, Literal["http", "mqtt"], str, int, int, str, int, bytes]) -> Entry:
    number, ts_ms, receiver, route, kind, records, size, outcome, attempts, packed = row
    body = Packed(size, packed).plain().decode("utf-8", "replace")
    return Entry(number, datetime.fromtimestamp(ts_ms / 1000, UTC), receiver, route, kind, records, size, outcome, attempts, body)
