"""Questions to the journal. Each opens the file for itself, read-only, in the process that writes it."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from services.core.baseline import Interval, Measured
from services.core.energy import Flows, Quantity
from services.recorder import day_table, energy_table, following, influx_hours, samples, series
from services.recorder.energy_table import Energies
from services.recorder.journal import JournalError, to_ms
from services.recorder.samples import SEEN_AS_ONE_S
from services.recorder.series import SERIES, MeanSeries, Series, Steps

__all__ = ["SERIES", "History", "StateAt"]


@dataclass(frozen=True, slots=True)
class StateAt:
    """A message that was on the bus."""

    ts_ms: int
    topic: str
    payload: dict[str, Any]


class History:
    """Read access to the journal at `path`. Every call blocks; any thread may call. All raise JournalError."""

    def __init__(self, path: Path) -> None:
        self._uri = f"file:{quote(str(path.absolute()))}?mode=ro"

    def means(self, names: Sequence[str], start_s: int, step_s: int, count: int, max_gap_s: float) -> dict[str, MeanSeries]:
        """The mean of each series over `count` steps from `start_s` (epoch seconds). None is a gap.

        Steps without a reading are bridged where the gap is no longer than `max_gap_s`, or SEEN_AS_ONE_S.
        """
        return {name: one.means for name, one in self.series(names, Steps(start_s, step_s, count), max_gap_s).items()}

    def series(self, names: Sequence[str], steps: Steps, max_gap_s: float) -> dict[str, Series]:
        """The same with the share of each step that is covered; what was bridged over is not."""
        with self._open() as db:
            found = series.read(db, names, steps)
        for one in found.values():
            series.bridge(one.means, int(max(max_gap_s, SEEN_AS_ONE_S) // steps.step_s))
        return found

    def flows(self, start: datetime, end: datetime, max_gap_s: float) -> Flows:
        """The power at every position over a time, and as far beyond it as a gap may reach: from the readings themselves.

        Power is known between two readings at most `max_gap_s` apart, or samples.GAP_SPACINGS times what is usual among them.
        """
        with self._open() as db:
            return samples.flows(db, to_ms(start), to_ms(end), max_gap_s)

    def energies(self, windows: Sequence[tuple[datetime, datetime]], max_gap_s: float) -> list[Energies]:
        """The energy of every position over each of `windows`, from the cheapest table; also where the readings are gone."""
        with self._open() as db:
            return energy_table.of_spans(db, [(start.timestamp(), end.timestamp()) for start, end in windows], max_gap_s)

    def measured(self, windows: Sequence[Interval], max_gap_s: float) -> list[Measured]:
        """Import and load over each of `windows`, as a baseline asks for them."""
        found = self.energies([(window.start, window.end) for window in windows], max_gap_s)
        return [Measured(one.flows[Quantity.IMPORT], one.flows[Quantity.LOAD]) for one in found]

    def hours(self, first: int, last: int, max_gap_s: float, *, known: bool = False) -> list[Energies]:
        """Every hour from `first` up to before `last`, counted since the epoch. `known`: none before those that hold anything."""
        with self._open() as db:
            return energy_table.by_hour(db, first, last, max_gap_s, known=known)

    def days(self, first: date, last: date, zone: ZoneInfo, max_gap_s: float) -> dict[date, Energies]:
        """Every local day from `first` up to before `last`."""
        with self._open() as db:
            return day_table.by_day(db, first, last, zone, max_gap_s)

    def follow(self, after: str | None, limit: int, settled_ms: int, start: datetime | None = None) -> following.Page:
        """The next rows after a cursor, in the order in which they can be relied upon; without one, from `start` or the first on.

        Raises following.BadCursor.
        """
        first_ms = following.FIRST_MS + 1 if start is None else to_ms(start)
        with self._open() as db:
            return following.page(db, None if after is None else following.Cursor.parse(after), limit, settled_ms, first_ms)

    def follow_hours(self, after: following.Cursor | None, limit: int) -> influx_hours.HourPage:
        """The next whole hours after a cursor, those that late readings have changed too."""
        with self._open() as db:
            return influx_hours.page(db, after, limit)

    def feed_cursor(self, name: str) -> str | None:
        """How far a feed of this recorder had come when it was last noted."""
        with self._open() as db:
            found = db.execute("SELECT cursor FROM feed WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def states_after(self, number: int, limit: int) -> list[tuple[int, str, int, str]]:
        """What was said and stored after the entry of that number: number, topic, time in ms, payload as JSON."""
        with self._open() as db:
            query = "SELECT rowid, topic, ts, payload FROM state WHERE rowid > ? ORDER BY rowid LIMIT ?"
            return db.execute(query, (number, limit)).fetchall()

    def states(self, topic: str, start: datetime, end: datetime, limit: int) -> list[StateAt]:
        """What was said under `topic`, oldest first, at most `limit`."""
        query = "SELECT ts, topic, payload FROM state WHERE topic = ? AND ts >= ? AND ts < ? ORDER BY ts, rowid LIMIT ?"
        return self._states(query, (topic, to_ms(start), to_ms(end), limit))

    def state_before(self, topic: str, ts: datetime) -> StateAt | None:
        """What stood under `topic` just before `ts`."""
        found = self._states(
            "SELECT ts, topic, payload FROM state WHERE topic = ? AND ts < ? ORDER BY ts DESC, rowid DESC LIMIT 1", (topic, to_ms(ts))
        )
        return found[0] if found else None

    def last_state(self, topic: str) -> dict[str, Any] | None:
        """The last payload under `topic`."""
        found = self._states("SELECT ts, topic, payload FROM state WHERE topic = ? ORDER BY rowid DESC LIMIT 1", (topic,))
        return found[0].payload if found else None

    def events(self) -> list[dict[str, Any]]:
        """Every event, as last heard, by its start."""
        bodies = [state.payload for state in self._states("SELECT ts, 'event/' || id, payload FROM event", ())]
        return sorted(bodies, key=lambda body: str(body["start"]))

    def _states(self, query: str, values: tuple[object, ...]) -> list[StateAt]:
        with self._open() as db:
            return [StateAt(ts, topic, json.loads(payload)) for ts, topic, payload in db.execute(query, values)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # A connection for each question costs a fifth of a millisecond and always sees the file that is in use.
        try:
            db = sqlite3.connect(self._uri, uri=True)
            try:
                yield db
            finally:
                db.close()
        except sqlite3.Error as error:
            raise JournalError(f"the journal cannot be read: {error}") from error
