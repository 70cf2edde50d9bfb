"""Brings every row that can still be read from a damaged journal into the new one, in the background, piece by piece."""

import json
import sqlite3
from pathlib import Path
from time import perf_counter

from services.recorder import schema
from services.recorder.columns import COLUMNS, NAMES
from services.recorder.journal import FILE_NAME, Journal, JournalError
from services.recorder.keeping import SLICE_S, store
from services.recorder.rollups import LEVELS, ROLLED, Level, RolledRow, fuller
from services.recorder.salvage import Damaged, Row

DONE_TOPIC = "journal/recovered"
"""Under this topic the journal notes which file has been recovered, and what was found."""
PAGES = 50
"""At most so many pages are read for one transaction."""
_TIMES_MS = (946_684_800_000, 7_258_118_400_000)
"""The years 2000 to 2200: no reading is from another time."""
_TIMES_S = (1_420_070_400, 3_786_912_000)
"""2015 to 2090: the keys of the three rollup tables then lie apart, which tells their rows from one another."""
# What the new journal knows already stands; the old one fills in what it lacks.
_FILL = (
    f"INSERT INTO reading VALUES ({', '.join('?' * (len(NAMES) + 1))}) ON CONFLICT (ts) DO UPDATE SET "  # noqa: S608 - fixed names
    + ", ".join(f"{name} = coalesce({name}, excluded.{name})" for name in NAMES)
)


class Recovery:
    """Of one damaged file. Begun anew after a restart it does no harm: what is there already stays as it is."""

    def __init__(self, path: Path) -> None:
        """Open the damaged file and its log. Raises OSError."""
        self.path = path
        self.readings = self.states = self.rollups = 0
        self._damaged = Damaged(path)
        self._next = 1

    def slice(self, journal: Journal) -> bool:
        """Go on for about `keeping.SLICE_S`. Whether there is more. Raises JournalError."""
        began = perf_counter()
        found: list[Row] = []
        first = self._next
        while self._next <= self._damaged.pages and self._next < first + PAGES and perf_counter() - began < SLICE_S / 2:
            found += self._damaged.rows(self._next)
            self._next += 1
        try:
            self._store(journal, found)
        except JournalError:
            self._next = first  # to be tried again
            raise
        if self._next <= self._damaged.pages:
            return True
        self._damaged.__exit__()
        self._note_done(journal)
        return False

    def _store(self, journal: Journal, found: list[Row]) -> None:
        readings = {row.rowid: row.values[1:] for row in found if _is_reading(row)}
        states = [(row.rowid, *row.values) for row in found if _is_state(row)]
        rolled = [(level, row) for row in found if (level := _level(row)) is not None]
        with journal.transaction() as db:
            db.executemany(_FILL, ((ts, *values) for ts, values in readings.items()))
            if readings:
                journal.note_late(db, readings)
                # Of the hours that lie before, the damaged file's rollups may know more than what is left of its readings.
                merged_ms = max(*readings, schema.meta(db, schema.MERGED_UNTIL) or 0)
                schema.set_meta(db, schema.MERGED_UNTIL, merged_ms)
            db.executemany("INSERT OR IGNORE INTO state (rowid, topic, ts, payload) VALUES (?, ?, ?, ?)", states)
            for level, row in rolled:
                _merge(db, level, row)
        self.readings += len(readings)
        self.states += len(states)
        self.rollups += len(rolled)

    def _note_done(self, journal: Journal) -> None:
        found = {"file": self.path.name, "readings": self.readings, "states": self.states, "rollups": self.rollups}
        with journal.transaction() as db:
            db.execute("INSERT INTO state VALUES (?, 0, ?)", (DONE_TOPIC, json.dumps(found)))

    def progress(self) -> str:
        """How far it has come, for a person."""
        share = 100 * (self._next - 1) / max(self._damaged.pages, 1)
        return f"recovering {self.path.name}: {share:.0f} %, {self.readings} readings so far"

    def summary(self) -> str:
        """What it came to, for a person."""
        bad = self._damaged.unreadable
        rest = f"; {bad} pages or rows were beyond reading" if bad else ""
        return (
            f"{self.readings} readings, {self.states} messages and {self.rollups} rolled-up rows were recovered from {self.path.name}{rest}"
        )


def left_to_do(journal: Journal) -> list[Path]:
    """The files set aside beside the journal that have not been recovered yet, oldest first. Raises JournalError."""
    done = {json.loads(payload)["file"] for (payload,) in journal.ask("SELECT payload FROM state WHERE topic = ?", (DONE_TOPIC,))}
    files = journal.path.parent.glob(f"{FILE_NAME}.corrupt-*")
    return sorted(file for file in files if not file.name.endswith(("-wal", "-shm")) and file.name not in done)


def _is_reading(row: Row) -> bool:
    if len(row.values) != len(NAMES) + 1 or not _TIMES_MS[0] <= row.rowid < _TIMES_MS[1]:
        return False
    for name, value in zip(NAMES, row.values[1:], strict=True):
        if value is not None and not (isinstance(value, int) and COLUMNS[name].possible(COLUMNS[name].decode(value))):
            return False
    return row.values[0] is None


def _is_state(row: Row) -> bool:
    if len(row.values) != 3:
        return False
    topic, ts_ms, payload = row.values
    if not (isinstance(topic, str) and isinstance(ts_ms, int) and isinstance(payload, str)):
        return False
    try:
        return isinstance(json.loads(payload), dict)
    except ValueError:
        return False


def _level(row: Row) -> Level | None:
    if len(row.values) != len(ROLLED) + 1 or not all(value is None or isinstance(value, int) for value in row.values):
        return None
    return next((level for level in LEVELS if _TIMES_S[0] <= row.rowid * level.width_s < _TIMES_S[1]), None)


def _merge(db: sqlite3.Connection, level: Level, row: Row) -> None:
    values: RolledRow = tuple(value for value in row.values[1:] if value is None or isinstance(value, int))
    known = db.execute(f"SELECT * FROM {level.table} WHERE key = ?", (row.rowid,)).fetchone()  # noqa: S608 - fixed names
    store(db, level, {row.rowid: values if known is None else fuller(tuple(known[1:]), values)})
