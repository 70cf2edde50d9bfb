"""How fast plant and controller run in one process, deciding at every step."""

import math
import platform
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from services.backtest.loop import Scenario, simulate
from services.controller.model import Settings
from services.core.config.load import parse_station
from services.core.events import Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.simulator.plant import PlantInputs, PlantParameters, PlantState, step
from tests.benchmarks.figure import Figure

STEP_S = 10.0
DAYS = 4
START = datetime(2026, 7, 1, tzinfo=UTC)
REPEATS = 3


def load_w(at: datetime) -> float:
    """A load with a morning and an evening peak."""
    hour = at.hour + at.minute / 60
    return 90 + 60 * math.exp(-((hour - 8) ** 2) / 4) + 120 * math.exp(-((hour - 19) ** 2) / 6)


def pv_w(at: datetime) -> float:
    """A clear day's panel."""
    return max(0.0, 200 * math.sin((at.hour + at.minute / 60 - 6) / 12 * math.pi))


def scenario() -> Scenario:
    """Four days of the shipped station, each with an event of four hours."""
    station = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
    events = tuple(
        Event(
            id=f"day-{day}",
            revision=0,
            start=START + timedelta(days=day, hours=16),
            end=START + timedelta(days=day, hours=20),
            goal=Goal(GoalKind.MINIMIZE),
            methods=(Method.REPLACEMENT,),
            priority=0,
            status=EventStatus.SCHEDULED,
        )
        for day in range(DAYS)
    )
    return Scenario(
        parameters=PlantParameters.of(station),
        settings=Settings.of(station),
        preferences=station.preferences.preferences(),
        load_w=load_w,
        pv_w=pv_w,
        start=START,
        end=START + timedelta(days=DAYS),
        step_s=STEP_S,
        events=events,
    )


def decided(run: Scenario) -> float:
    """Simulated seconds per second with a decision at every step."""
    started = time.perf_counter()
    deque(simulate(run, PlantState(stored_wh=800.0)), maxlen=0)
    return (run.end - run.start).total_seconds() / (time.perf_counter() - started)


def undecided(run: Scenario) -> float:
    """The bare limit: the same loads and steps of the plant alone."""
    started = time.perf_counter()
    now, plant, pause = run.start, PlantState(stored_wh=800.0), timedelta(seconds=run.step_s)
    while now < run.end:
        plant, _ = step(run.parameters, plant, PlantInputs(True, False, True, run.load_w(now), run.pv_w(now)), run.step_s)
        now += pause
    return (run.end - run.start).total_seconds() / (time.perf_counter() - started)


def modes_seen(run: Scenario) -> set[int]:
    """The modes that the run goes through: a run that never switches would prove nothing."""
    return {int(after.decision.mode) for _, after in pairwise(simulate(run, PlantState(stored_wh=800.0)))}


def measure() -> list[Figure]:
    """The median of a few runs."""
    run = scenario()
    modes = sorted(modes_seen(replace(run, end=START + timedelta(days=1))))
    ours, bare = zip(*((decided(run), undecided(run)) for _ in range(REPEATS)), strict=True)
    return [
        Figure(
            "simulation_speed",
            sorted(ours)[REPEATS // 2],
            "s/s",
            sorted(bare)[REPEATS // 2],
            100_000,
            f"plant and decide() every {STEP_S:g} s, {DAYS} days with an event of 4 h each, modes {modes} seen, median of {REPEATS} runs, "
            f"one process, {platform.machine()}, Python {platform.python_version()}; reference: the plant alone, undecided",
            better="higher",
        )
    ]
