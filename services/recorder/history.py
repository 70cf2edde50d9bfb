"""Questions to the journal. Each opens the file for itself, read-only, in the process that writes it."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from services.core.energy import Flows, PowerSeries
from services.core.positions import Position
from services.recorder.columns import COLUMNS
from services.recorder.journal import JournalError, to_ms

SUMS: Mapping[str, tuple[str, ...]] = MappingProxyType({"load_w": ("p1_w", "p3_w"), "import_w": ("p1_w", "p2_w")})
SERIES = (*(name for name in COLUMNS if not name.endswith(("_wh", "_on", "_mode"))), *SUMS)
"""What can be asked for as a series of means."""

SEEN_AS_ONE_S = 150.0
"""For the eye, a picture's line goes on over so much; also how far beyond a window its neighbours are looked for."""
GAP_SPACINGS = 2.5
"""Rows that always came further apart than today's polls (imported, or simulated as a past) are no gaps."""

MeanSeries = list[float | None]


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
        columns = list(dict.fromkeys(column for name in names for column in SUMS.get(name, (name,))))
        found: dict[str, MeanSeries] = {column: [None] * count for column in columns}
        query = (
            f"SELECT (ts - ?1) / ?2, {', '.join(f'avg({column})' for column in columns)} "  # noqa: S608 - names of columns
            "FROM reading WHERE ts >= ?1 AND ts < ?3 GROUP BY 1"
        )
        start_ms, step_ms = start_s * 1000, step_s * 1000
        with self._open() as db:
            for step, *means in db.execute(query, (start_ms, step_ms, start_ms + count * step_ms)):
                for column, mean in zip(columns, means, strict=True):
                    if mean is not None:
                        found[column][step] = COLUMNS[column].decode(mean)
        for means in found.values():
            _bridge(means, int(max(max_gap_s, SEEN_AS_ONE_S) // step_s))
        return {name: _sum([found[column] for column in SUMS[name]]) if name in SUMS else found[name] for name in names}

    def flows(self, start: datetime, end: datetime, max_gap_s: float) -> Flows:
        """The power at every position over a time, and as far beyond it as a gap may reach.

        Power is known between two readings at most `max_gap_s` apart, or GAP_SPACINGS times what is usual among them.
        """
        margin_ms = round(max(max_gap_s, SEEN_AS_ONE_S) * 1000)
        window = (to_ms(start) - margin_ms, to_ms(end) + margin_ms)
        series = {}
        with self._open() as db:
            for position in Position:
                query = f"SELECT ts / 1000.0, {position}_w / 10.0 FROM reading WHERE ts BETWEEN ? AND ? AND {position}_w IS NOT NULL"  # noqa: S608
                series[position] = PowerSeries.of(db.execute(query, window))
        usual_s = max((spacing for one in series.values() if (spacing := one.spacing_s()) is not None), default=0.0)
        return Flows(series, max(max_gap_s, GAP_SPACINGS * usual_s))

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


def _bridge(means: MeanSeries, longest: int) -> None:
    """Join two means that are at most `longest` steps apart by a straight line."""
    known = [(i, mean) for i, mean in enumerate(means) if mean is not None]
    for (i, left), (j, right) in pairwise(known):
        if 1 < j - i <= longest:
            for k in range(i + 1, j):
                means[k] = left + (right - left) * (k - i) / (j - i)


def _sum(parts: Sequence[MeanSeries]) -> MeanSeries:
    return [None if None in values else sum(value for value in values if value is not None) for values in zip(*parts, strict=True)]
