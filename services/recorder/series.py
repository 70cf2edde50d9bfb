"""Means over equal steps, from the cheapest table that can answer: hours, quarters, minutes, else the readings themselves."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

from services.core.positions import Position
from services.recorder import schema
from services.recorder.columns import COLUMNS
from services.recorder.rollups import LEVELS, MINUTE, MINUTE_S, Level

SUMS: Mapping[str, tuple[str, ...]] = MappingProxyType({"load_w": ("p1_w", "p3_w"), "import_w": ("p1_w", "p2_w")})
SERIES = (*(name for name in COLUMNS if not name.endswith(("_wh", "_on", "_mode"))), *SUMS)
"""What can be asked for as a series of means."""
_FLOW = {**{f"{position}_w": str(position) for position in Position}, "load_w": "load", "import_w": "import"}

MeanSeries = list[float | None]


@dataclass(slots=True)
class Series:
    """Means and, for each, the share of its step in which the quantity was known."""

    means: MeanSeries
    covered: list[float] = field(default_factory=list)

    def put(self, step: int, mean: float, covered: float) -> None:
        """Add what is known of a step to what is known of it already."""
        have, share = self.means[step], self.covered[step]
        self.means[step] = mean if have is None else (have * share + mean * covered) / (share + covered)
        self.covered[step] = min(share + covered, 1.0)


@dataclass(frozen=True, slots=True)
class Steps:
    """`count` steps of `step_s` from `start_s` (epoch seconds)."""

    start_s: int
    step_s: int
    count: int

    @property
    def end_s(self) -> int:
        """Where the last one ends."""
        return self.start_s + self.count * self.step_s


def read(db: sqlite3.Connection, names: Sequence[str], steps: Steps) -> dict[str, Series]:
    """Each series of `names` (of SERIES). Raises sqlite3.Error."""
    found = {name: Series([None] * steps.count, [0.0] * steps.count) for name in names}
    level = next((level for level in reversed(LEVELS) if steps.step_s % level.width_s == steps.start_s % level.width_s == 0), None)
    if level is not None:
        until_ms = (schema.meta(db, schema.ROLLED_UNTIL) or 0) * 1000
    else:
        # Only readings are fine enough; where they are gone, the minutes say what is left to say.
        level, until_ms = MINUTE, schema.meta(db, schema.DROPPED_UNTIL) or 0
    _from_table(db, level, found, steps, min(steps.end_s, until_ms // 1000))
    _from_readings(db, found, steps, max(steps.start_s * 1000, until_ms))
    return found


def _from_table(db: sqlite3.Connection, level: Level, found: Mapping[str, Series], steps: Steps, end_s: int) -> None:
    if end_s <= steps.start_s:
        return
    width_ms, step_ms = level.width_s * 1000, steps.step_s * 1000
    figures = []
    for name in found:
        if name in _FLOW:
            flow = _FLOW[name]
            figures += [f"sum({flow}_j)", f"sum({width_ms} - {flow}_lack_ms)"]
        else:
            figures += [f"avg({name})", f"count({name})"]
    query = (
        f"SELECT (key * {level.width_s} - ?1) / ?2 AS step, {', '.join(figures)} FROM {level.table} "  # noqa: S608 - fixed names
        "WHERE key >= ?3 AND key < ?4 GROUP BY 1 HAVING step >= 0"
    )
    keys = (-(-steps.start_s // level.width_s), -(-end_s // level.width_s))
    decoders = [(series, None if name in _FLOW else COLUMNS[name]) for name, series in found.items()]
    for step, *values in db.execute(query, (steps.start_s, steps.step_s, *keys)):
        for i, (series, column) in enumerate(decoders):
            figure, known = values[2 * i], values[2 * i + 1]
            if figure is None:
                continue
            if column is None:
                series.put(step, figure * 1000 / known, known / step_ms)
            else:
                series.put(step, column.decode(figure), min(known * width_ms / step_ms, 1.0))


def _from_readings(db: sqlite3.Connection, found: Mapping[str, Series], steps: Steps, start_ms: int) -> None:
    if start_ms >= steps.end_s * 1000:
        return
    columns = list(dict.fromkeys(column for name in found for column in SUMS.get(name, (name,))))
    minutes = "count(DISTINCT CASE WHEN {0} IS NOT NULL THEN ts / 60000 END)" if steps.step_s > MINUTE_S else "1"
    figures = ", ".join(f"avg({column}), {minutes.format(column)}" for column in columns)
    query = f"SELECT (ts - ?1) / ?2, {figures} FROM reading WHERE ts >= ?3 AND ts < ?4 GROUP BY 1"  # noqa: S608 - fixed names
    whole = max(steps.step_s / MINUTE_S, 1.0)
    parts = [(series, [columns.index(column) for column in SUMS.get(name, (name,))]) for name, series in found.items()]
    scales = [COLUMNS[column].scale for column in columns]
    for step, *values in db.execute(query, (steps.start_s * 1000, steps.step_s * 1000, start_ms, steps.end_s * 1000)):
        for series, indices in parts:
            if all(values[2 * i] is not None for i in indices):
                mean = sum(values[2 * i] / scales[i] for i in indices)
                series.put(step, mean, min(min(values[2 * i + 1] for i in indices) / whole, 1.0))


def bridge(means: MeanSeries, longest: int) -> None:
    """Join two means that are at most `longest` steps apart by a straight line."""
    if None not in means:
        return
    known = [(i, mean) for i, mean in enumerate(means) if mean is not None]
    for (i, left), (j, right) in pairwise(known):
        if 1 < j - i <= longest:
            for k in range(i + 1, j):
                means[k] = left + (right - left) * (k - i) / (j - i)
