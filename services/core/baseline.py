"""The words of baselines: what a station would have drawn without an event, and how that figure came about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.core.energy import Energy

MIN_COVERED = 0.9
"""An interval of which less is covered counts as unknown."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From and to, in aware UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Measured:
    """What an interval of a past day came to."""

    imported: Energy
    """P1 + P2."""
    load: Energy
    """P1 + P3."""


Measure = Callable[[Sequence[Interval]], Sequence[Measured]]
"""Looks intervals that lie close together up in the record."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A day that was looked at and not taken."""

    day: date
    reason: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """Estimated energy for each interval of an event, and what it rests on. None is unknown."""

    method: str
    import_wh: tuple[float | None, ...]
    load_wh: tuple[float | None, ...]
    taken: tuple[date, ...]
    """The days that it is the mean of, latest first."""
    refused: tuple[Refused, ...]
    factor: float | None = None
    """What a multiplicative day-of adjustment came to, within its caps; None where there is none, or not yet."""
    offset_w: float | None = None
    """What an additive one came to."""
    note: str = ""
    """Why there is no figure, or what is special about it."""


def intervals_of(start: datetime, end: datetime, length: timedelta) -> tuple[Interval, ...]:
    """The settlement intervals of an event, aligned to its start; the last one may be shorter."""
    count = -((start - end) // length)
    return tuple(Interval(start + i * length, min(start + (i + 1) * length, end)) for i in range(count))
