"""What an event came to under a policy, beside what was possible. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

from services.core.goals import Goal, GoalKind


@dataclass(frozen=True, slots=True)
class Interval:
    """A settlement interval as it was metered."""

    hours: float
    """Its length."""
    load_wh: float
    avoided_wh: float
    import_wh: float
    covered: float
    """Share for which the trace knows the load."""


@dataclass(frozen=True, slots=True)
class Score:
    """An event under one policy."""

    event_id: str
    goal: Goal
    intervals: tuple[Interval, ...]
    operations: int
    """Of the relay that moves the load, with its return at the end."""
    start_soc_pct: float
    end_soc_pct: float
    violations: int
    best_least_wh: float | None = None
    """The optimum's least hour, from the same state of charge."""
    best_total_wh: float | None = None
    dwell_least_wh: float | None = None
    """The same with the relay's dwell."""

    @property
    def least_wh(self) -> float:
        """The least that an interval got, a shorter one in proportion."""
        longest = max(one.hours for one in self.intervals)
        return min(one.avoided_wh * longest / one.hours for one in self.intervals)

    @property
    def total_wh(self) -> float:
        """Avoided in all."""
        return sum(one.avoided_wh for one in self.intervals)

    @property
    def tracking(self) -> float | None:
        """RMS over the intervals of achieved less asked, over the mean of what was asked; None for `minimize`."""
        errors = tracking_errors_w(self.goal, self.intervals)
        if errors is None:
            return None
        asked_w = [asked for asked, _ in errors]
        scale_w = self.goal.power_w if self.goal.kind is GoalKind.PLEDGE else sum(asked_w) / len(asked_w)
        return sqrt(sum(error * error for _, error in errors) / len(errors)) / scale_w if scale_w else None


def tracking_errors_w(goal: Goal, intervals: Sequence[Interval]) -> list[tuple[float, float]] | None:
    """What was asked of each interval, and how far off it was: pledge, or load less limit, but never more than the load."""
    if goal.power_w is None:
        return None
    found = []
    for one in intervals:
        load_w, avoided_w = one.load_wh / one.hours, one.avoided_wh / one.hours
        wanted_w = goal.power_w if goal.kind is GoalKind.PLEDGE else max(0.0, load_w - goal.power_w)
        asked_w = min(wanted_w, load_w)
        found.append((asked_w, avoided_w - asked_w))
    return found


@dataclass(frozen=True, slots=True)
class Summary:
    """All events under one policy."""

    policy: str
    events: int
    worst_median: float | None
    """Least interval over the optimum's, where the goal is `minimize`: the median event."""
    worst_p10: float | None
    total: float | None
    """All energy over the optimum's."""
    total_wh: float
    tracking: float | None
    """RMS over all events."""
    operations: float
    """Mean an event."""
    end_soc_pct: float
    violations: int


def summary(policy: str, scores: Sequence[Score]) -> Summary:
    """The figures of a table's row. Raises ValueError without any event."""
    if not scores:
        raise ValueError("there is no event to sum up")
    # Only where as much as possible was asked does less than possible say anything.
    most = [score for score in scores if score.goal.kind is GoalKind.MINIMIZE]
    worst = [score.least_wh / score.best_least_wh for score in most if score.best_least_wh]
    possible = [score for score in most if score.best_total_wh]
    best_wh = sum(score.best_total_wh or 0.0 for score in possible)
    errors = [score.tracking for score in scores if score.tracking is not None]
    return Summary(
        policy=policy,
        events=len(scores),
        worst_median=median(worst) if worst else None,
        worst_p10=quantile(worst, 0.1) if worst else None,
        total=sum(score.total_wh for score in possible) / best_wh if best_wh else None,
        total_wh=sum(score.total_wh for score in scores),
        tracking=sqrt(sum(error * error for error in errors) / len(errors)) if errors else None,
        operations=sum(score.operations for score in scores) / len(scores),
        end_soc_pct=sum(score.end_soc_pct for score in scores) / len(scores),
        violations=sum(score.violations for score in scores),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The linearly interpolated quantile."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)
