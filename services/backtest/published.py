"""The small plant of figures published elsewhere: idle draw only while the load hangs on the battery, and a load that is known at once.

It is here to reproduce them. What is claimed of our own policy is measured on the simulated plant (`trial`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.backtest.optimum import Task
from services.backtest.policies import Carried, Policy, Seen


class Played(NamedTuple):
    """How a policy did in one event."""

    intervals_wh: NDArray[np.float64]
    operations: int


def play(policy: Policy, task: Task, dwell_s: float) -> Played:
    """One event of `policy`, step by step: the dwell kept both ways, off when the battery is empty or the load too large."""
    hours = task.step_s / 3600.0
    per, steps = task.steps_per_interval, len(task.load_w)
    intervals_wh = np.zeros(-(-steps // per))
    left_wh, on, held_s, operations, carried, before_w = task.available_wh, False, float("inf"), 0, Carried(), 0.0
    for t, load_w in enumerate(task.load_w.tolist()):
        seen = Seen(
            into_s=t * task.step_s,
            left_s=(steps - t) * task.step_s,
            interval_s=task.interval_s,
            dt_s=task.step_s,
            load_w=load_w,
            carried_w=before_w,
            available_wh=left_wh,
            on=on,
            goal_w=None,
            dwell_s=dwell_s,
            efficiency=task.discharge_efficiency,
            idle_w=task.idle_w,
        )
        wish, carried = policy(seen, carried)
        taken_wh = (load_w / task.discharge_efficiency + task.idle_w) * hours
        impossible = load_w > task.inverter_w or taken_wh > left_wh
        wish = wish and not impossible
        if wish != on and (impossible or held_s >= dwell_s):
            on, held_s, operations = not on, 0.0, operations + 1
        before_w = load_w if on else 0.0
        left_wh -= taken_wh if on else 0.0
        intervals_wh[t // per] += before_w * hours
        held_s += task.step_s
    return Played(intervals_wh, operations)
