"""The perfect-foresight optimum of an event, by HiGHS: what no controller can beat under the same plant and the same idle rule.

Variables are the share u_t of each step that the load hangs on the battery, the energy s_t in the battery above the lowest
allowed, and the least interval's energy m:

    maximise m  (or the whole energy)
    subject to  sum over the interval of u_t L_t dt >= m            for every settlement interval
                s_t+1 <= s_t + eta_c PV_t dt - u_t L_t dt / eta - idle,  0 <= s_t <= room,  u_t = 0 where L_t > inverter

`Idle.ALWAYS` is the plant's rule: the inverter is on all along. `Idle.ON_BATTERY` charges it only while the load hangs there, as
figures published elsewhere do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import highspy
import numpy as np
from numpy.typing import NDArray

INFINITE = highspy.kHighsInf


class Idle(Enum):
    """When the inverter's own draw is taken from the battery."""

    ALWAYS = "always"
    ON_BATTERY = "on battery"


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """An event as the optimum sees it: everything known in advance."""

    load_w: NDArray[np.float64]
    """Mean load of each step."""
    step_s: float
    interval_s: float
    """Length of a settlement interval; the last may be shorter."""
    available_wh: float
    """In the battery at the start, above the lowest allowed."""
    room_wh: float
    """The most it holds above the lowest allowed."""
    inverter_w: float
    idle_w: float
    discharge_efficiency: float
    charge_efficiency: float = 1.0
    pv_w: NDArray[np.float64] | None = None
    idle: Idle = Idle.ALWAYS

    @property
    def steps_per_interval(self) -> int:
        """Steps in a whole settlement interval."""
        return round(self.interval_s / self.step_s)

    @property
    def even_w(self) -> float:
        """The mean power that the battery alone holds to the event's end, the inverter being on all along."""
        hours = len(self.load_w) * self.step_s / 3600.0
        return max(0.0, self.discharge_efficiency * (self.available_wh / hours - self.idle_w))


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """A solution, with what is known of how good it is."""

    intervals_wh: NDArray[np.float64]
    """What the battery gives the load in each settlement interval."""
    objective_wh: float
    """The least interval's energy (`maximin`), or the whole (`most`); each interval in proportion to its length."""
    bound_wh: float
    """No solution is better than this; the objective itself when solved to the end."""
    solved: bool
    """False when the time ran out: the truth then lies between objective and bound."""
    on: NDArray[np.float64]
    """The share of each step on the battery."""

    @property
    def total_wh(self) -> float:
        """What the battery gives the load in the whole event."""
        return float(self.intervals_wh.sum())


def maximin(task: Task) -> Optimum:
    """The event whose least interval gets the most; relays may switch in no time (a linear programme)."""
    return _nothing(task) if _exhausted(task) else _solve(_Model(task, maximin=True))


def most(task: Task) -> Optimum:
    """The event in which the battery gives the load the most in all."""
    return _nothing(task) if _exhausted(task) else _solve(_Model(task, maximin=False))


def with_dwell(task: Task, dwell_s: float, *, limit_s: float = 10.0, gap: float = 1e-3, most_operations: int | None = None) -> Optimum:
    """As `maximin`, with a relay that is on or off for whole steps and stays so for `dwell_s` (a mixed-integer programme).

    Solved to within `gap` of the best, or as far as `limit_s` seconds go: see `Optimum.solved`. The first step may be of
    either kind; going back to the grid at the event's end is free.
    """
    if _exhausted(task):
        return _nothing(task)
    model = _Model(task, maximin=True)
    model.hold(max(1, round(dwell_s / task.step_s)), most_operations)
    return _solve(model, limit_s=limit_s, gap=gap)


def _exhausted(task: Task) -> bool:
    """Whether the idle draw alone brings the battery below its lowest before the event is over."""
    hours = task.step_s / 3600.0
    pv_w = task.pv_w if task.pv_w is not None else np.zeros(len(task.load_w))
    idle_w = task.idle_w if task.idle is Idle.ALWAYS else 0.0
    left_wh = task.available_wh
    for w in pv_w:
        left_wh = min(task.room_wh, left_wh + (float(w) * task.charge_efficiency - idle_w) * hours)
        if left_wh < 0.0:
            return True
    return False


def _nothing(task: Task) -> Optimum:
    steps = len(task.load_w)
    return Optimum(np.zeros(-(-steps // task.steps_per_interval)), 0.0, 0.0, solved=True, on=np.zeros(steps))


class _Model:
    """The programme's rows and columns: u of each step, then s after each step, then m; with a dwell the switchings on and off."""

    def __init__(self, task: Task, *, maximin: bool) -> None:
        self.task = task
        steps = self.steps = len(task.load_w)
        self.energy_wh = task.load_w * (task.step_s / 3600.0)
        per = task.steps_per_interval
        self.intervals = [range(first, min(first + per, steps)) for first in range(0, steps, per)]
        self.least = 2 * steps
        self.upper: list[float] = [1.0 if w <= task.inverter_w else 0.0 for w in task.load_w]
        self.upper += [task.room_wh] * steps + [INFINITE]
        self.cost: list[float] = [0.0] * (2 * steps) + [1.0]
        if not maximin:
            self.cost = [*self.energy_wh.tolist(), *([0.0] * steps), 0.0]
        self.integers: list[int] = []
        self.rows: list[tuple[list[int], list[float], float, float]] = []
        self._battery()
        for interval in self.intervals:
            # A shorter last interval is held to its share.
            share = len(interval) / per
            self.row([*interval, self.least], [*self.energy_wh[list(interval)].tolist(), -share], 0.0, INFINITE)

    def row(self, columns: Sequence[int], values: Sequence[float], lower: float, upper: float) -> None:
        self.rows.append((list(columns), list(values), lower, upper))

    def _battery(self) -> None:
        """What is left after each step is at most what was there, less what the load and the idle draw took, and what the sun gave."""
        task, hours = self.task, self.task.step_s / 3600.0
        idle_wh = task.idle_w * hours
        always = task.idle is Idle.ALWAYS
        pv_w = task.pv_w if task.pv_w is not None else np.zeros(self.steps)
        for t in range(self.steps):
            given_wh = float(pv_w[t]) * hours * task.charge_efficiency - (idle_wh if always else 0.0)
            taken_wh = float(self.energy_wh[t]) / task.discharge_efficiency + (0.0 if always else idle_wh)
            if t == 0:
                self.row([self.steps, 0], [1.0, taken_wh], -INFINITE, task.available_wh + given_wh)
            else:
                self.row([self.steps + t, self.steps + t - 1, t], [1.0, -1.0, taken_wh], -INFINITE, given_wh)

    def hold(self, dwell: int, most_operations: int | None) -> None:
        """Whole steps, and least times on and off: the usual switch-on and switch-off variables."""
        steps, first_on = self.steps, self.least + 1
        first_off = first_on + steps
        self.upper += [1.0] * (2 * steps)
        self.cost += [0.0] * (2 * steps)
        self.integers = list(range(steps))
        for t in range(1, steps):
            self.row([t, t - 1, first_on + t, first_off + t], [1.0, -1.0, -1.0, 1.0], 0.0, 0.0)
        for t in range(steps):
            recent = range(max(1, t - dwell + 1), t + 1)
            self.row([*(first_on + k for k in recent), t], [*(1.0 for _ in recent), -1.0], -INFINITE, 0.0)
            self.row([*(first_off + k for k in recent), t], [*(1.0 for _ in recent), 1.0], -INFINITE, 1.0)
        if most_operations is not None:
            switchings = range(first_on + 1, first_off + steps)
            self.row([0, *switchings], [1.0] * (1 + len(switchings)), -INFINITE, float(most_operations))


def _solve(model: _Model, *, limit_s: float | None = None, gap: float = 0.0) -> Optimum:
    """Hand the programme to HiGHS. Raises RuntimeError if it finds no solution."""
    programme = highspy.HighsLp()
    programme.sense_ = highspy.ObjSense.kMaximize
    programme.num_col_, programme.num_row_ = len(model.upper), len(model.rows)
    programme.col_cost_ = np.array(model.cost)
    programme.col_lower_ = np.zeros(len(model.upper))
    programme.col_upper_ = np.array(model.upper)
    programme.row_lower_ = np.array([row[2] for row in model.rows])
    programme.row_upper_ = np.array([row[3] for row in model.rows])
    programme.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    programme.a_matrix_.start_ = np.cumsum([0, *(len(row[0]) for row in model.rows)])
    programme.a_matrix_.index_ = np.array([column for row in model.rows for column in row[0]])
    programme.a_matrix_.value_ = np.array([value for row in model.rows for value in row[1]])
    if model.integers:
        whole = set(model.integers)
        kinds = (highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous)
        programme.integrality_ = [kinds[0] if column in whole else kinds[1] for column in range(len(model.upper))]
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.silent()
    solver.setOptionValue("threads", 1)
    if limit_s is not None:
        solver.setOptionValue("time_limit", limit_s)
        solver.setOptionValue("mip_rel_gap", gap)
    solver.passModel(programme)
    solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    solved = status == highspy.HighsModelStatus.kOptimal
    feasible = solved or info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    if not feasible:
        raise RuntimeError(f"the optimum was not found: {solver.modelStatusToString(status)}")
    on = np.array(solver.getSolution().col_value[: model.steps])
    bound_wh = info.mip_dual_bound if model.integers else info.objective_function_value
    intervals_wh = np.array([float((on[list(interval)] * model.energy_wh[list(interval)]).sum()) for interval in model.intervals])
    return Optimum(intervals_wh, float(info.objective_function_value), float(bound_wh), solved, on)
