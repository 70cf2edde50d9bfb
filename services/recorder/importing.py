"""Readings from elsewhere into the journal: only what it lacks. The same ones again change nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from services.recorder import schema
from services.recorder.columns import COLUMNS, INDEX, NAMES, Row, empty_row
from services.recorder.intake import FUTURE_S
from services.recorder.journal import REACH_MS, SETTLED_MS, Journal
from services.recorder.rollups import MINUTE_S, POWER_COLUMNS

MOST_ROWS = 2_000
"""In one request: about 30 ms of the journal's thread, so that a commit of live readings waits no longer."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_MINUTE_MS = MINUTE_S * 1000
_POWERS = frozenset(INDEX[name] for name in POWER_COLUMNS)


class Readings(BaseModel):
    """Rows as somebody offers them: a time in ms since the epoch, then a value for each of `columns`, null where nothing was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=len(NAMES))]
    rows: Annotated[list[tuple[FiniteFloat | None, ...]], Field(max_length=MOST_ROWS)]

    @model_validator(mode="after")
    def _fit(self) -> "Readings":
        if unknown := [name for name in self.columns if name not in COLUMNS]:
            raise ValueError(f"columns: {', '.join(unknown)[:200]!r} is not recorded; choose from {', '.join(NAMES)}")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: each may be named once")
        for i, row in enumerate(self.rows):
            if len(row) != len(self.columns) + 1 or row[0] is None:
                raise ValueError(f"rows: row {i} must have a time in ms and {len(self.columns)} values")
        return self


@dataclass(frozen=True, slots=True)
class Refused:
    """A value (or with `field` `ts_ms` a whole row) that cannot be true, and is not stored. `row` counts from 0."""

    row: int
    field: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of rows that were offered."""

    added: int = 0
    """Times of which the journal knew nothing."""
    completed: int = 0
    """Times of which it knew some columns, and now knows more."""
    known: int = 0
    """Times of which it knew all that was offered."""
    differing: int = 0
    """Values that the journal has otherwise; it keeps its own."""


def checked(offered: Readings, now: datetime, speed: float) -> tuple[dict[int, Row], list[Refused]]:
    """The rows by time in ms, without what no device of a home could mean. Of two at the same time the first value stands."""
    rows: dict[int, Row] = {}
    refused: list[Refused] = []
    latest_ms = (now + timedelta(seconds=FUTURE_S * speed)).timestamp() * 1000
    for i, (ts_ms, *values) in enumerate(offered.rows):
        if ts_ms is None or not EARLIEST.timestamp() * 1000 <= ts_ms <= latest_ms:
            remedy = f"it must lie between the year {EARLIEST.year} and the station's clock ({now:%Y-%m-%dT%H:%M:%SZ}); check its time zone"
            refused.append(Refused(i, "ts_ms", f"{ts_ms or 0:.0f}", remedy))
            continue
        row = empty_row()
        for name, value in zip(offered.columns, values, strict=True):
            if value is None:
                continue
            if COLUMNS[name].possible(value):
                row[INDEX[name]] = COLUMNS[name].encode(value)
            else:
                refused.append(Refused(i, name, f"{value:g}", COLUMNS[name].refusal(value)))
        if any(value is not None for value in row):
            before = rows.setdefault(round(ts_ms), row)
            rows[round(ts_ms)] = [new if old is None else old for old, new in zip(before, row, strict=True)]
    return rows, refused


def fill(journal: Journal, rows: Mapping[int, Row], *, settled_ms: int = SETTLED_MS, reach_ms: int = REACH_MS) -> Filled:
    """Store what the journal lacks of `rows`, and let the hours that this touches be rolled up anew. Raises JournalError."""
    have = _stored(journal, rows)
    gone = _only_rolled_up(journal, rows)
    wanted: dict[int, Row] = {}
    added = completed = differing = 0
    for ts_ms, row in rows.items():
        stored = have.get(ts_ms)
        rolled = gone.get(ts_ms // _MINUTE_MS, frozenset())
        lacking: Row = empty_row()
        for i, value in enumerate(row):
            if value is None or i in rolled:
                continue
            if stored is None or stored[i] is None:
                lacking[i] = value
            else:
                differing += stored[i] != value
        if any(value is not None for value in lacking):
            wanted[ts_ms] = lacking
            added, completed = (added + 1, completed) if stored is None else (added, completed + 1)
    if wanted:
        journal.write(wanted, settled_ms=settled_ms, reach_ms=reach_ms)
    return Filled(added, completed, len(rows) - added - completed, differing)


def _stored(journal: Journal, times_ms: Iterable[int]) -> dict[int, Sequence[int | None]]:
    times = tuple(times_ms)
    marks = ", ".join("?" * len(times))
    return {ts: row for ts, *row in journal.ask(f"SELECT * FROM reading WHERE ts IN ({marks})", times)}  # noqa: S608 - question marks


def _only_rolled_up(journal: Journal, times_ms: Iterable[int]) -> dict[int, frozenset[int]]:
    """By minute whose readings are gone already: the columns (by index) that its rollup knows. They are not to come twice."""
    found = journal.ask("SELECT value FROM meta WHERE name = ?", (schema.DROPPED_UNTIL,))
    minutes = {ts // _MINUTE_MS for ts in times_ms if found and ts < found[0][0]}
    if not minutes:
        return {}
    span = (min(minutes) * _MINUTE_MS, (max(minutes) + 1) * _MINUTE_MS)
    there = {row[0] for row in journal.ask(f"SELECT DISTINCT ts / {_MINUTE_MS} FROM reading WHERE ts >= ? AND ts < ?", span)}  # noqa: S608
    columns = ", ".join(POWER_COLUMNS.get(name, name) for name in NAMES)
    dropped = minutes - there
    asked = tuple(dropped | {minute - 1 for minute in dropped})
    marks = ", ".join("?" * len(asked))
    rows = journal.ask(f"SELECT key, {columns} FROM minute WHERE key IN ({marks})", asked)  # noqa: S608 - question marks
    rolled = {key: frozenset(i for i, value in enumerate(values) if value is not None) for key, *values in rows}
    # The last reading before a gap may have given all its energy to the minute before.
    nothing: frozenset[int] = frozenset()
    return {minute: rolled.get(minute, nothing) | (rolled.get(minute - 1, nothing) & _POWERS) for minute in dropped}
