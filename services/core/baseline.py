"""What a station would have drawn without an event, from its own recent days. Methods have names.

Days are walked back as local dates, so that an hour stays the same hour over a daylight-saving change.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.core.energy import Energy

MIN_COVERED = 0.9
"""An interval of which less is covered counts as unknown."""
DAYS = 10
LOOK_BACK_DAYS = 60
"""Far enough for ten weekend days, with a few event days among them."""


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
"""Looks the intervals of one past day up in the record."""


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
    """Latest first."""
    refused: tuple[Refused, ...]
    note: str = ""
    """Why there is no figure."""


def intervals_of(start: datetime, end: datetime, length: timedelta) -> tuple[Interval, ...]:
    """The settlement intervals of an event, aligned to its start; the last one may be shorter."""
    count = -((start - end) // length)
    return tuple(Interval(start + i * length, min(start + (i + 1) * length, end)) for i in range(count))


def mean_of_recent_days(intervals: Sequence[Interval], zone: ZoneInfo, event_days: AbstractSet[date], measure: Measure) -> Baseline:
    """The mean of the same hours over the last ten eligible days.

    A weekday event looks at weekdays, a weekend event at Saturdays and Sundays. A day is not eligible when it
    had an event, or when the grid import of one of the intervals is unknown: a missing hour is not zero.
    """
    taken: list[tuple[date, Sequence[Measured]]] = []
    refused: list[Refused] = []
    for day, days_back in _same_kind_of_days(intervals[0].start.astimezone(zone).date()):
        windows = [_days_before(interval, days_back, zone) for interval in intervals]
        if event_days & _dates(windows, zone):
            refused.append(Refused(day, "had an event"))
            continue
        measured = measure(windows)
        if missing := [w for w, m in zip(windows, measured, strict=True) if m.imported.whole_wh(MIN_COVERED) is None]:
            refused.append(Refused(day, f"no readings for {missing[0].start.astimezone(zone):%H:%M}"))
            continue
        taken.append((day, measured))
        if len(taken) == DAYS:
            break
    return Baseline(
        method="mean_of_recent_days",
        import_wh=tuple(_mean([m[i].imported for _, m in taken]) for i in range(len(intervals))),
        load_wh=tuple(_mean([m[i].load for _, m in taken]) for i in range(len(intervals))),
        taken=tuple(day for day, _ in taken),
        refused=tuple(refused),
        note="" if taken else f"none of the last {LOOK_BACK_DAYS} days has readings for these hours and no event",
    )


Method = Callable[[Sequence[Interval], ZoneInfo, AbstractSet[date], Measure], Baseline]
METHODS: Mapping[str, Method] = {"mean_of_recent_days": mean_of_recent_days}
"""Every baseline method, by the name under which it is published."""


def _same_kind_of_days(event_day: date) -> Iterator[tuple[date, int]]:
    for days_back in range(1, LOOK_BACK_DAYS + 1):
        day = event_day - timedelta(days=days_back)
        if (day.weekday() >= 5) == (event_day.weekday() >= 5):
            yield day, days_back


def _days_before(interval: Interval, days_back: int, zone: ZoneInfo) -> Interval:
    """The same local time on an earlier date. A time that occurs twice means the first, one that is skipped moves on."""
    start = (interval.start.astimezone(zone).replace(fold=0) - timedelta(days=days_back)).astimezone(UTC)
    return Interval(start, start + (interval.end - interval.start))


def _dates(windows: Sequence[Interval], zone: ZoneInfo) -> set[date]:
    return {window.start.astimezone(zone).date() for window in windows}


def _mean(energies: Sequence[Energy]) -> float | None:
    known = [wh for energy in energies if (wh := energy.whole_wh(MIN_COVERED)) is not None]
    return sum(known) / len(known) if known else None
