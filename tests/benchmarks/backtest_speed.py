"""How fast the backtest goes, every step decided as live, and how it grows with stations over all cores."""

import multiprocessing as mp
import platform
import time
from collections import deque
from dataclasses import replace
from datetime import timedelta
from functools import cache
from math import isnan

from services.backtest.events import every
from services.backtest.loop import Scenario, simulate
from services.backtest.trace import Trace, packaged
from services.controller.model import Settings
from services.core.goals import Goal, GoalKind
from services.simulator.plant import PlantInputs, PlantParameters, PlantState, step
from tests.benchmarks.control import shipped
from tests.benchmarks.figure import Figure
from tests.benchmarks.progress import line

STEP_S = 10.0
SPEED_DAYS = 14.0
"""Of the year that was promised: the speed of a fortnight is that of a year, which is 26 of them."""
GROWTH_DAYS = 1.0
STATIONS = (1, 10, 100)


@cache
def whole() -> Trace:
    """The packaged trace, read once a process: it takes as long as half a day's simulation."""
    return packaged()


def scenario(days: float, number: int = 0) -> Scenario:
    """The shipped station on the packaged trace, an event of four hours each weekday; each station has a load of its own size."""
    station = shipped()
    trace = whole().first_days(days).scaled(0.2 + 0.001 * number)
    events = every("weekdays", "16:00", "PT4H", trace, Goal(GoalKind.MINIMIZE), station.zone)
    return Scenario(
        parameters=PlantParameters.of(station),
        settings=replace(Settings.of(station), station=f"station-{number}"),
        preferences=station.preferences.preferences(),
        load_w=trace.profile(trace.load_w),
        pv_w=lambda _: 0.0,
        start=trace.start,
        end=trace.end,
        step_s=STEP_S,
        events=events,
    )


def played_s(run: Scenario) -> float:
    """Seconds that the run takes."""
    started = time.perf_counter()
    deque(simulate(run, PlantState.initial(run.parameters)), maxlen=0)
    return time.perf_counter() - started


def undecided_s(run: Scenario) -> float:
    """The bare limit: the same steps of the plant alone."""
    started = time.perf_counter()
    now, plant, pause = run.start, PlantState.initial(run.parameters), timedelta(seconds=run.step_s)
    while now < run.end:
        load_w = run.load_w(now)
        plant, _ = step(run.parameters, plant, PlantInputs(True, False, True, 0.0 if isnan(load_w) else load_w, 0.0), run.step_s)
        now += pause
    return time.perf_counter() - started


def station(number: int) -> float:
    """Simulated seconds of one station."""
    run = scenario(GROWTH_DAYS, number)
    played_s(run)
    return (run.end - run.start).total_seconds()


def grown(count: int) -> float:
    """Simulated seconds per second of `count` stations over all cores."""
    told = line(f"{count} stations")
    started = time.perf_counter()
    simulated_s = 0.0
    with mp.Pool() as pool:
        for done, one_s in enumerate(pool.imap_unordered(station, range(count)), 1):
            simulated_s += one_s
            told(done, count)
    return simulated_s / (time.perf_counter() - started)


def measure() -> list[Figure]:
    """Both figures."""
    run = scenario(SPEED_DAYS)
    length_s = (run.end - run.start).total_seconds()
    speeds = sorted(length_s / played_s(run) for _ in range(3))
    bare = length_s / undecided_s(run)
    machine = f"{platform.machine()}, Python {platform.python_version()}, {mp.cpu_count()} cores"
    growth = {count: grown(count) for count in STATIONS}
    return [
        Figure(
            "backtest_speed",
            speeds[1],
            "s/s",
            bare,
            300_000,
            f"plant and live decide() every {STEP_S:g} s over {SPEED_DAYS:g} days of the packaged one-minute trace, not the whole year"
            f" (which takes {365 * 86400 / speeds[1]:.0f} s at this rate), {len(run.events)} events of 4 h, one process, median of"
            f" {len(speeds)} runs, {machine}; reference: the plant alone, undecided",
            better="higher",
        ),
        Figure(
            "backtest_growth",
            growth[STATIONS[-1]],
            "s/s",
            growth[STATIONS[0]],
            1.5,
            f"simulated seconds of all stations per second, {GROWTH_DAYS:g} day each with a decision every {STEP_S:g} s, in processes over"
            f" all cores, starting them included: {', '.join(f'{n} stations {rate:.0f}' for n, rate in growth.items())}; {machine};"
            " reference: one station",
            goal_on="ratio",
            better="higher",
        ),
    ]
