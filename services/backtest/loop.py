"""The closed loop: plant, snapshot, decision, relays, and again. As fast as it can, every step decided."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.controller.decide import decide
from services.controller.model import Decision, ManualMode, Memory, Settings, Snapshot
from services.core.event_book import Book, advance, current
from services.core.events import Event
from services.core.modes import RELAYS
from services.core.preferences import Preferences
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState
from services.simulator.plant import Flows, PlantInputs, PlantParameters, PlantState, step

ProfileW = Callable[[datetime], float]
"""Watts at a station time."""


class Meters(NamedTuple):
    """How the meters read: each power times its gain. Without a data link the power station says nothing."""

    p1: float = 1.0
    p2: float = 1.0
    p3: float = 1.0
    p4: float = 1.0
    data_link: bool = True


PERFECT = Meters()


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a run is made of."""

    parameters: PlantParameters
    settings: Settings
    preferences: Preferences
    load_w: ProfileW
    pv_w: ProfileW
    start: datetime
    end: datetime
    step_s: float
    events: tuple[Event, ...] = ()
    meters: Meters = PERFECT
    override: ManualMode | None = None
    """A person's manual mode, from the start until its end."""


class Step(NamedTuple):
    """One step: the decision at `at`, and the mean flows of the step that followed it."""

    at: datetime
    decision: Decision
    plant: PlantState
    flows: Flows


def simulate(scenario: Scenario, plant: PlantState, memory: Memory | None = None) -> Iterator[Step]:
    """Run `scenario` from `plant`, deciding at every step by the function that also runs live."""
    parameters, settings, preferences, meters = scenario.parameters, scenario.settings, scenario.preferences, scenario.meters
    memory = memory or Memory()
    book = Book(events={event.id: event for event in scenario.events})
    now, pause, dt_s = scenario.start, timedelta(seconds=scenario.step_s), scenario.step_s
    relays = RELAYS[memory.mode]
    has_p3 = settings.hardware.p3_actuator
    p1_on, p2_on, p3_on = bool(relays.p1), bool(relays.p2), bool(relays.p3) or not has_p3
    inputs = PlantInputs(p1_on, p2_on, True, scenario.load_w(now), scenario.pv_w(now), True, p3_on)
    _, flows = step(parameters, plant, inputs, 0.0)
    elapsed_s = 0.0
    while now < scenario.end:
        if book.events:
            book = advance(book, now)
        snapshot = observe(flows, p1_on, p2_on, elapsed_s, preferences, current(book) if book.events else None, meters)
        if has_p3 or scenario.override is not None:
            p3_relay = Observed(RelayState(p3_on), 0.0) if has_p3 else None
            snapshot = replace(snapshot, p3_relay=p3_relay, override=scenario.override)
        decision = decide(snapshot, memory, settings, now)
        memory = decision.memory
        relays = RELAYS[decision.mode]
        p1_on, p2_on, p3_on = bool(relays.p1), bool(relays.p2), bool(relays.p3) or not has_p3
        inputs = PlantInputs(p1_on, p2_on, True, scenario.load_w(now), scenario.pv_w(now), True, p3_on)
        plant, flows = step(parameters, plant, inputs, dt_s)
        yield Step(now, decision, plant, flows)
        now += pause
        elapsed_s += dt_s


def observe(
    flows: Flows, p1_on: bool, p2_on: bool, monotonic_s: float, preferences: Preferences, event: Event | None, meters: Meters = PERFECT
) -> Snapshot:
    """What `meters` would report of `flows` at once."""
    battery = Observed(BatteryReading(soc_pct=flows.soc_pct, ac_output_on=flows.ac_output_on), 0.0) if meters.data_link else None
    return Snapshot(
        monotonic_s=monotonic_s,
        preferences=preferences,
        p1=Observed(PowerReading(flows.p1_w * meters.p1, flows.grid_v), 0.0),
        p2=Observed(PowerReading(flows.p2_w * meters.p2, flows.grid_v), 0.0),
        p3=Observed(PowerReading(flows.p3_w * meters.p3, flows.p3_v), 0.0),
        p4=Observed(PowerReading(flows.p4_w * meters.p4), 0.0),
        battery=battery,
        p1_relay=Observed(RelayState(p1_on), 0.0),
        p2_relay=Observed(RelayState(p2_on), 0.0),
        event=event,
    )
