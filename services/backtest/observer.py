"""The observer against the truth: a station without a data link, simulated with meters and a box that err."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.backtest.loop import Meters, Scenario, simulate
from services.controller.model import Memory, Settings
from services.core.config.hardware import NO_DATA_LINK, Ina260Sensor, RelayDevice
from services.core.config.station import Station
from services.core.observer import Estimate, estimate
from services.core.observer_fit import CAPACITY, EFFICIENCY, GAIN, IDLE, WANDER
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.sun import Panel
from services.simulator.trace import LoadTrace


class Watched(NamedTuple):
    """One step: the true state of charge at its begin, and what the observer made of the readings up to then."""

    at: datetime
    true_pct: float
    estimate: Estimate | None
    full: bool
    """It was observed full."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How good the estimates were."""

    mean_error_pct: float
    """Mean distance of the estimate from the truth, in points of state of charge."""
    covered: float
    """Share of the time in which the truth lay within the band."""
    mean_width_pct: float
    """Mean width of the band."""
    unknown: float
    """Share of the time without an estimate, left out of the figures above."""
    calibrations: int
    """How often the battery was observed full."""


def unlinked(station: Station) -> Station:
    """`station` without its data link: P3 and P4, if there is one, are metered apart."""
    p3 = RelayDevice(address="http://127.0.0.1:1")
    p4 = Ina260Sensor(sensor="ina260") if station.positions.p4 is not None else None
    positions = station.positions.model_copy(update={"p3": p3, "p4": p4})
    return station.model_copy(update={"battery": station.battery.model_copy(update={"driver": NO_DATA_LINK}), "positions": positions})


class Errors(NamedTuple):
    """What is wrong: gains of the meters, and the true box's figures over the stated ones."""

    p2: float
    p3: float
    p4: float
    capacity: float
    charge_efficiency: float
    discharge_efficiency: float
    idle: float


def drawn_by(seed: int) -> Errors:
    """Errors as large as the observer assumes: 3 % a meter's gain, and what stands in `observer_fit` for the box."""
    draw = random.Random(f"errors {seed}")  # noqa: S311 - a simulation
    gains = (draw.gauss(1.0, GAIN), draw.gauss(1.0, GAIN), draw.gauss(1.0, GAIN))
    return Errors(*gains, *(draw.gauss(1.0, error) for error in (CAPACITY, EFFICIENCY, EFFICIENCY, IDLE)))


def scenario_of(station: Station, errors: Errors, start: datetime, end: datetime, step_s: float) -> Scenario:
    """The unlinked `station` with a house and meters that err."""
    stated = PlantParameters.of(station)
    true = replace(
        stated,
        capacity_wh=stated.capacity_wh * errors.capacity,
        charge_efficiency=min(1.0, stated.charge_efficiency * errors.charge_efficiency),
        discharge_efficiency=min(1.0, stated.discharge_efficiency * errors.discharge_efficiency),
        idle_w=max(0.0, stated.idle_w * errors.idle),
    )
    return Scenario(
        parameters=true,
        settings=Settings.of(unlinked(station)),
        preferences=station.preferences.preferences(),
        load_w=LoadTrace.of(station).load_w,
        pv_w=Panel.of(station).pv_w,
        start=start,
        end=end,
        step_s=step_s,
        meters=Meters(p2=errors.p2, p3=errors.p3, p4=errors.p4, data_link=False),
    )


def watch(station: Station, start: datetime, *, days: int, seed: int, errors: Errors, step_s: float) -> Iterator[Watched]:
    """`days` of a station without a data link, each estimate beside the truth of the same moment.

    `errors` wander from day to day as much as the observer assumes (WANDER); that, and the first charge, hang on `seed`.
    """
    draw = random.Random(seed)  # noqa: S311 - a simulation
    memory = Memory()
    run = scenario_of(station, errors, start, start, step_s)
    plant = PlantState.initial(run.parameters, soc_pct=draw.uniform(25.0, 95.0))
    true_pct = 100.0 * plant.stored_wh / run.parameters.capacity_wh
    for day in range(days):
        begin = start + timedelta(days=day)
        run = scenario_of(station, errors, begin, begin + timedelta(days=1), step_s)
        for step in simulate(run, plant, memory):
            memory = step.decision.memory
            yield Watched(step.at, true_pct, estimate(memory.observer, run.settings.battery), memory.observer.full)
            true_pct = step.flows.soc_pct
        plant = step.plant
        errors = errors._replace(**{name: getattr(errors, name) + draw.gauss(0.0, WANDER) for name in ("p2", "p3", "p4", "idle")})


def judge(watched: Iterable[Watched]) -> Judgement:
    """The figures of a run."""
    steps = known = covered = calibrations = 0
    error_pct = width_pct = 0.0
    was_full = False
    for _, true_pct, seen, full in watched:
        steps += 1
        calibrations += full and not was_full
        was_full = full
        if seen is None:
            continue
        known += 1
        error_pct += abs(seen.soc_pct - true_pct)
        width_pct += seen.high - seen.low
        # A band that ends at 100 % holds a full battery, whatever the last digit says.
        covered += seen.low - 1e-9 <= true_pct <= seen.high + 1e-9
    each = max(1, known)
    return Judgement(error_pct / each, covered / each, width_pct / each, 1.0 - known / max(1, steps), calibrations)
