"""The plain policies that ours is measured against. Pure: what is seen and one carried figure in, a wish and that figure out.

They only wish: the relay's dwell and every safety rule are kept by whoever runs them, for all alike.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple


class Seen(NamedTuple):
    """What a policy knows at a step of an event."""

    into_s: float
    """Since the event's start."""
    left_s: float
    """Until its end."""
    interval_s: float
    """Length of a settlement interval."""
    dt_s: float
    """Until the next step."""
    load_w: float
    carried_w: float
    """What the battery has given the load since the step before."""
    available_wh: float
    """In the battery, above the lowest allowed."""
    on: bool
    """The load hangs on the battery."""
    goal_w: float | None
    """The reduction asked for; None for as much as there is."""
    dwell_s: float
    efficiency: float
    idle_w: float


class Carried(NamedTuple):
    """What a policy carries from step to step; every one uses of it what it needs."""

    error_wh: float = 0.0
    """Reduction owed."""
    given_wh: float = 0.0
    """Given in the running interval."""
    even_w: float = 0.0
    """The even power when the interval began."""
    peak_w: float = 0.0
    """The highest load so far."""


Policy = Callable[[Seen, Carried], tuple[bool, Carried]]
"""Whether the load should hang on the battery now."""


def even_w(seen: Seen) -> float:
    """What the battery can give evenly to the end, and no more than the goal.

    g = min(goal, max(0, eta (E / T_left - P_idle))), the inverter being on all along.
    """
    if seen.left_s <= 0.0:
        return 0.0
    held_w = max(0.0, seen.efficiency * (seen.available_wh * 3600.0 / seen.left_s - seen.idle_w))
    return min(inf if seen.goal_w is None else seen.goal_w, held_w)


def greedy(seen: Seen, carried: Carried) -> tuple[bool, Carried]:
    """On battery until it is empty, whatever was asked."""
    return seen.available_wh > 0.0, carried


def sigma_delta(seen: Seen, carried: Carried) -> tuple[bool, Carried]:
    """First-order sigma-delta: on while what is owed, with the goal over one dwell, exceeds half a dwell's load.

    e <- e + (g - u L) dt, within one dwell of the highest load; on when e + g D - L D / 2 > 0.
    """
    goal_w, peak_w = even_w(seen), max(carried.peak_w, seen.load_w)
    limit_wh, hours = peak_w * seen.dwell_s / 3600.0, seen.dt_s / 3600.0
    error_wh = carried.error_wh
    if seen.into_s > 0.0:
        error_wh += (goal_w - seen.carried_w) * hours
        error_wh = min(limit_wh, max(-limit_wh, error_wh))
    dwell_h = seen.dwell_s / 3600.0
    on = error_wh + goal_w * dwell_h - 0.5 * seen.load_w * dwell_h > 0.0
    return on, Carried(error_wh=error_wh, peak_w=peak_w)


def one_block(seen: Seen, carried: Carried) -> tuple[bool, Carried]:
    """One block at the beginning of each settlement interval, which ends when the interval's share is met."""
    into_interval_s = seen.into_s % seen.interval_s
    given_wh = carried.given_wh + seen.carried_w * seen.dt_s / 3600.0
    goal_w = carried.even_w
    if into_interval_s < seen.dt_s:
        given_wh, goal_w = 0.0, even_w(seen)
    length_s = min(seen.interval_s, into_interval_s + seen.left_s)
    return given_wh < goal_w * length_s / 3600.0, Carried(given_wh=given_wh, even_w=goal_w)


POLICIES: Mapping[str, Policy] = {"greedy": greedy, "sigma-delta": sigma_delta, "one-block": one_block}
"""By the name that tables and commands use."""
