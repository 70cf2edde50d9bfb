"""How an event's promise is kept, hour by hour and so far. Pure; unknown stays unknown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.bus.messages.events import PerformanceInterval
from services.core.config.policy import GoalSection
from services.core.goals import GoalKind
from services.gateway.models import EventView

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was asked and what came of it, as means over a time."""

    start: datetime
    end: datetime
    asked_w: float | None
    """The pledged reduction, the limit of the import, or, for as little as possible, what is usual."""
    kept_w: float | None
    """The reduction; for a limit, the import."""
    kept_pct: float | None
    """For a pledge the reduction's share of it, for a limit 100 and less where it was passed, else the share of what is usual."""
    covered: float
    """The share of the time for which readings exist."""


def hour_by_hour(event: EventView) -> list[Kept]:
    """Each settlement interval that has begun."""
    return [_kept(event.goal, (one,)) for one in event.intervals if one.end > one.start]


def so_far(event: EventView) -> Kept | None:
    """All of them together; None before the first reading."""
    whole = tuple(one for one in event.intervals if one.end > one.start)
    return _kept(event.goal, whole) if whole else None


def _kept(goal: GoalSection, intervals: Sequence[PerformanceInterval]) -> Kept:
    hours = sum((one.end - one.start) / HOUR for one in intervals)
    covered = sum(one.covered * ((one.end - one.start) / HOUR) for one in intervals) / hours
    # Where readings are missing nothing is known of an interval; the others stand for themselves.
    known = [one for one in intervals if None not in (one.import_wh, one.reduction_wh if goal.kind is not GoalKind.LIMIT else 0.0)]
    known_hours = sum((one.end - one.start) / HOUR for one in known)
    reduction_w = _mean(known_hours, [one.reduction_wh for one in known])
    asked_w: float | None
    kept_w, kept_pct = reduction_w, None
    if goal.kind is GoalKind.LIMIT:
        asked_w, kept_w = goal.import_w, _mean(known_hours, [one.import_wh for one in known])
        if kept_w is not None and asked_w is not None:
            kept_pct = 100.0 if kept_w <= asked_w else 100.0 * asked_w / kept_w
    else:
        asked_w = goal.reduction_w if goal.kind is GoalKind.PLEDGE else _mean(known_hours, [one.baseline_wh for one in known])
        if reduction_w is not None and asked_w:
            kept_pct = 100.0 * reduction_w / asked_w
    return Kept(intervals[0].start, intervals[-1].end, asked_w, kept_w, kept_pct, covered)


def _mean(hours: float, energies_wh: Sequence[float | None]) -> float | None:
    known = [wh for wh in energies_wh if wh is not None]
    return sum(known) / hours if known and len(known) == len(energies_wh) else None
