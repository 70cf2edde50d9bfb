"""One policy in one window, on the simulated plant: the live `decide()`, its guard and its dwell for every policy alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from services.backtest.loop import ProfileW, Scenario, simulate
from services.backtest.optimum import Idle, Task
from services.backtest.policies import Policy
from services.backtest.windows import Rows, Window
from services.controller.guard import lowest_pct
from services.controller.model import Memory, Settings
from services.core.config.station import Station
from services.core.events import Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.modes import RELAYS
from services.simulator.plant import PlantParameters, PlantState

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
"""Where the first row is put in time: a Monday."""
HISTORY_STEP_S = 60.0
QUARTER_S = 900.0


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What came of a window."""

    intervals_wh: NDArray[np.float64]
    """Metered avoided energy, P3 - P2, of each settlement interval."""
    quarters_wh: NDArray[np.float64]
    """And of each quarter of an hour."""
    operations: int
    """Of relay P1, with the return to the grid at the event's end."""
    end_soc_pct: float
    lowest_soc_pct: float

    @property
    def total_wh(self) -> float:
        """Avoided in the whole event."""
        return float(self.intervals_wh.sum())


def profile(rows: Rows) -> ProfileW:
    """The load of `rows` by time from EPOCH on."""
    start_s, step_s, values = EPOCH.timestamp(), rows.step_s, rows.load_w.tolist()
    return lambda at: values[int((at.timestamp() - start_s) // step_s)]


def memories(rows: Rows, windows: Sequence[Window], station: Station) -> Mapping[int, Memory]:
    """What a controller that has run since the first row knows when each window starts, by the window's first row."""
    wanted = {EPOCH + timedelta(seconds=window.first * rows.step_s): window.first for window in windows}
    run = _scenario(station, profile(rows), EPOCH, max(wanted) + timedelta(seconds=HISTORY_STEP_S), HISTORY_STEP_S)
    found: dict[int, Memory] = {}
    memory = Memory()
    for step in simulate(run, PlantState.initial(run.parameters)):
        if (first := wanted.get(step.at)) is not None:
            found[first] = memory
        memory = step.decision.memory
    return found


def play(
    window: Window, station: Station, policy: Policy | None, memory: Memory, *, goal: Goal | None = None, step_s: float = 10.0
) -> Result:
    """The event that fills `window`, from a full battery. Without a `policy` it is ours."""
    start = EPOCH + timedelta(seconds=window.first * window.rows.step_s)
    end = EPOCH + timedelta(seconds=window.last * window.rows.step_s)
    goal = goal or Goal(GoalKind.MINIMIZE)
    event = Event(f"row-{window.first}", 0, start, end, goal, (Method.REPLACEMENT,), 0, EventStatus.SCHEDULED)
    run = replace(_scenario(station, profile(window.rows), start, end, step_s), events=(event,), policy=policy)
    # It knows its house, and nothing else of what went before: neither a relay's dwell nor another state of charge.
    memory = Memory(at=start - timedelta(seconds=step_s), learned=memory.learned)
    avoided_wh: list[float] = []
    operations, on, lowest_pct_seen, soc_pct = 0, False, 100.0, 100.0
    for step in simulate(run, PlantState.initial(run.parameters, soc_pct=100.0), memory):
        opened = not RELAYS[step.decision.mode].p1
        operations += opened != on
        on, soc_pct = opened, step.flows.soc_pct
        lowest_pct_seen = min(lowest_pct_seen, soc_pct)
        avoided_wh.append((step.flows.p3_w - step.flows.p2_w) * step_s / 3600.0)
    interval_s = run.settings.interval.total_seconds()
    return Result(_sums(avoided_wh, interval_s / step_s), _sums(avoided_wh, QUARTER_S / step_s), operations + on, soc_pct, lowest_pct_seen)


def task(window: Window, station: Station, idle: Idle = Idle.ALWAYS) -> Task:
    """The same event for the optimum: the same plant, full at its start."""
    settings = Settings.of(station)
    battery = settings.battery
    lowest = lowest_pct(station.preferences.backup_reserve_pct, settings)
    above_wh = battery.capacity_wh * (100.0 - lowest) / 100.0
    return Task(
        load_w=window.load_w,
        step_s=window.rows.step_s,
        interval_s=settings.interval.total_seconds(),
        available_wh=above_wh,
        room_wh=above_wh,
        inverter_w=battery.inverter_w,
        idle_w=battery.idle_w,
        discharge_efficiency=battery.discharge_efficiency,
        idle=idle,
    )


def _scenario(station: Station, load_w: ProfileW, start: datetime, end: datetime, step_s: float) -> Scenario:
    return Scenario(
        parameters=PlantParameters.of(station),
        settings=Settings.of(station),
        preferences=station.preferences.preferences(),
        load_w=load_w,
        pv_w=lambda _: 0.0,
        start=start,
        end=end,
        step_s=step_s,
    )


def _sums(values: Sequence[float], per: float) -> NDArray[np.float64]:
    """Sums of `per` values each."""
    each = round(per)
    return np.array([sum(values[first : first + each]) for first in range(0, len(values), each)])
