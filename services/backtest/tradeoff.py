"""Error against relay operations: every policy at every dwell, over the same windows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import sqrt

from services.backtest import trial
from services.backtest.policies import POLICIES
from services.backtest.score import quantile
from services.backtest.trial import Result
from services.backtest.windows import Window
from services.controller.model import Memory
from services.core.config.station import Station
from services.core.goals import Goal, GoalKind

OURS = "ours"
DWELLS_S = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0)
PLEDGED_SHARE = 0.3
"""Of the window's mean load."""


@dataclass(frozen=True, slots=True)
class Point:
    """One policy at one dwell."""

    policy: str
    dwell_s: float
    interval_s: float
    error: float
    """RMS over all intervals of (achieved - min(goal, load)) / goal."""
    median_error: float
    """Of the windows' own RMS."""
    operations: float
    """Mean an event, the return at its end included."""
    windows: int


def with_limits(station: Station, dwell_s: float, interval_s: float) -> Station:
    """`station` with another dwell and settlement interval."""
    control = station.control.model_copy(update={"settlement_interval": timedelta(seconds=interval_s)})
    # The day's cap is left to the dwell: a policy that needs more shows how many.
    limits = station.limits.model_copy(update={"dwell_s": dwell_s, "switchings_per_day": 1000})
    return station.model_copy(update={"control": control, "limits": limits})


def point(
    windows: Sequence[Window],
    station: Station,
    policy: str,
    memories: Mapping[int, Memory],
    *,
    dwell_s: float,
    interval_s: float,
    progress: Callable[[], None] = lambda: None,
) -> Point:
    """`policy` pledging PLEDGED_SHARE of each window's mean load."""
    changed = with_limits(station, dwell_s, interval_s)
    chosen = None if policy == OURS else POLICIES[policy]
    results = []
    for window in windows:
        goal = Goal(GoalKind.PLEDGE, PLEDGED_SHARE * window.mean_w)
        results.append(trial.play(window, changed, chosen, memories[window.first], goal=goal))
        progress()
    return scored(windows, policy, results, changed)


def scored(windows: Sequence[Window], policy: str, results: Sequence[Result], station: Station) -> Point:
    """What `results`, one for each of `windows`, come to."""
    interval_s = station.control.settlement_interval.total_seconds()
    squares = []
    for window, result in zip(windows, results, strict=True):
        goal_w = PLEDGED_SHARE * window.mean_w
        errors = [
            (wh * 3600.0 / interval_s - min(goal_w, load_w)) / goal_w
            for wh, load_w in zip(result.intervals_wh, means(window, interval_s), strict=True)
        ]
        squares.append(sum(error * error for error in errors) / len(errors))
    count = len(windows)
    operations = sum(result.operations for result in results) / count
    median = quantile([sqrt(square) for square in squares], 0.5)
    return Point(policy, station.limits.dwell_s, interval_s, sqrt(sum(squares) / count), median, operations, count)


def means(window: Window, interval_s: float) -> list[float]:
    """The mean load of each interval; rows longer than an interval stand for several."""
    per = round(interval_s / window.rows.step_s)
    if per >= 1:
        return [float(window.load_w[first : first + per].mean()) for first in range(0, len(window.load_w), per)]
    return [float(w) for w in window.load_w for _ in range(round(window.rows.step_s / interval_s))]


def curves(
    windows: Sequence[Window],
    station: Station,
    policies: Sequence[str],
    intervals_s: Sequence[float],
    progress: Callable[[], None] = lambda: None,
    dwells_s: Sequence[float] = DWELLS_S,
) -> list[Point]:
    """All points: each policy at each dwell and settlement interval. `progress` is told each window."""
    memories = trial.memories(windows[0].rows, windows, station)
    return [
        point(windows, station, policy, memories, dwell_s=dwell_s, interval_s=interval_s, progress=progress)
        for interval_s in intervals_s
        for policy in policies
        for dwell_s in (dwells_s[:1] if policy == "greedy" else dwells_s)
    ]
