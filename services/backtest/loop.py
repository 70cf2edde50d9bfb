"""The closed loop: plant, snapshot, decision, relays, and again. As fast as it can, every step decided."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from math import isnan
from typing import NamedTuple

from services.backtest.policies import Carried, Policy, Seen
from services.controller import upcoming
from services.controller.decide import decide
from services.controller.guard import lowest_pct
from services.controller.model import Decision, ManualMode, Memory, Settings, Snapshot
from services.core.event_book import Book, advance, current, others
from services.core.events import Event, EventStatus
from services.core.goals import GoalKind
from services.core.modes import FEEDS, Feed, Mode
from services.core.preferences import Preferences
from services.core.quiet import Span
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState
from services.simulator.plant import Flows, PlantInputs, PlantParameters, PlantState, step

ProfileW = Callable[[datetime], float]
"""Watts at a station time. A load that is NaN is a gap: nobody knows it, and the meters at P1 and P3 are silent."""
BOOK_EVERY = timedelta(minutes=5)
"""Between the moments at which an event begins or ends the book is looked at so often."""


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
    policy: Policy | None = None
    """Chooses between battery and grid while an event runs, in place of ours; the guard checks it all the same."""


class Step(NamedTuple):
    """One step: the decision at `at`, and the mean flows of the step that followed it."""

    at: datetime
    decision: Decision
    plant: PlantState
    flows: Flows
    snapshot: Snapshot
    """What the decision was made from."""
    gap: bool = False
    """The load of this step is not known."""

    @property
    def on_battery(self) -> bool:
        """The load was commanded to the battery."""
        return FEEDS[self.decision.mode] is Feed.BATTERY


_CLOSED, _OPEN = Observed(RelayState(True), 0.0), Observed(RelayState(False), 0.0)
"""Made once: millions are needed."""


def simulate(scenario: Scenario, plant: PlantState, memory: Memory | None = None) -> Iterator[Step]:
    """Run `scenario` from `plant`, deciding at every step by the function that also runs live."""
    parameters, settings, preferences, meters = scenario.parameters, scenario.settings, scenario.preferences, scenario.meters
    load_at, pv_at = scenario.load_w, scenario.pv_w
    memory = memory or Memory()
    book = Book(events={event.id: event for event in scenario.events})
    look_at = scenario.start
    event: Event | None = None
    busy: tuple[Span, ...] = ()
    now, pause, dt_s = scenario.start, timedelta(seconds=scenario.step_s), scenario.step_s
    has_p3 = settings.hardware.p3_actuator
    contacts = {mode: (bool(relays.p1), bool(relays.p2), bool(relays.p3) or not has_p3) for mode, relays in settings.board.relays.items()}
    p1_on, p2_on, p3_on = contacts[memory.mode]
    load_w = load_at(now)
    gap = isnan(load_w)
    _, flows = step(parameters, plant, PlantInputs(p1_on, p2_on, True, 0.0 if gap else load_w, pv_at(now), True, p3_on), 0.0)
    elapsed_s = 0.0
    carried = Carried()
    end, policy, override = scenario.end, scenario.policy, scenario.override
    while now < end:
        if now >= look_at and book.events:
            lead = upcoming.lead(preferences, settings)
            book = advance(book, now, lead)
            event = current(book, now, lead)
            busy = others(book, event)
            look_at = _look_at(book, now)
        if policy is not None:
            override = scenario.override
            if event is not None and event.status is EventStatus.ONGOING:
                wish, carried = policy(_seen(event, flows, memory, scenario, now), carried)
                # As a person's manual mode it goes through the live decision, and through its guard.
                override = ManualMode(Mode.BATTERY if wish else Mode.GRID, event.end)
        p3_relay = (_CLOSED if p3_on else _OPEN) if has_p3 else None
        snapshot = _snapshot(flows, p1_on, p2_on, p3_relay, elapsed_s, preferences, event, busy, override, meters, gap, settings.panel)
        decision = decide(snapshot, memory, settings, now)
        memory = decision.memory
        p1_on, p2_on, p3_on = contacts[decision.mode]
        load_w = load_at(now)
        gap = isnan(load_w)
        inputs = PlantInputs(p1_on, p2_on, True, 0.0 if gap else load_w, pv_at(now), True, p3_on)
        plant, flows = step(parameters, plant, inputs, dt_s)
        yield Step(now, decision, plant, flows, snapshot, gap)
        now += pause
        elapsed_s += dt_s


def _look_at(book: Book, now: datetime) -> datetime:
    """When the book may have changed by itself."""
    due = now + BOOK_EVERY
    for event in book.events.values():
        if event.is_open:
            if now < event.start < due:
                due = event.start
            elif now < event.end < due:
                due = event.end
    return due


def _seen(event: Event, flows: Flows, memory: Memory, scenario: Scenario, now: datetime) -> Seen:
    """What a plain policy is told at `now`."""
    settings, battery = scenario.settings, scenario.settings.battery
    above_pct = flows.soc_pct - lowest_pct(scenario.preferences.backup_reserve_pct, settings)
    return Seen(
        into_s=(now - event.start).total_seconds(),
        left_s=(event.end - now).total_seconds(),
        interval_s=settings.interval.total_seconds(),
        dt_s=scenario.step_s,
        load_w=flows.load_w,
        carried_w=flows.p3_w,
        available_wh=max(0.0, above_pct / 100.0 * battery.capacity_wh),
        on=memory.mode is Mode.BATTERY,
        goal_w=event.goal.power_w if event.goal.kind is GoalKind.PLEDGE else None,
        dwell_s=settings.dwell_s,
        efficiency=battery.discharge_efficiency,
        idle_w=battery.idle_w,
    )


def observe(
    flows: Flows, p1_on: bool, p2_on: bool, monotonic_s: float, preferences: Preferences, event: Event | None, meters: Meters = PERFECT
) -> Snapshot:
    """What `meters` would report of `flows` at once."""
    return _snapshot(flows, p1_on, p2_on, None, monotonic_s, preferences, event, (), None, meters, gap=False, panel=True)


def _snapshot(
    flows: Flows,
    p1_on: bool,
    p2_on: bool,
    p3_relay: Observed[RelayState] | None,
    monotonic_s: float,
    preferences: Preferences,
    event: Event | None,
    busy: tuple[Span, ...],
    override: ManualMode | None,
    meters: Meters,
    gap: bool,
    panel: bool,
) -> Snapshot:
    p1_w, p2_w, p3_w, p4_w, _, soc_pct, grid_v, p3_v, output_on = flows
    # In the order of their fields: names cost as much again.
    return Snapshot(
        monotonic_s,
        preferences,
        None if gap else Observed(PowerReading(p1_w * meters.p1, grid_v), 0.0),
        Observed(PowerReading(p2_w * meters.p2, grid_v), 0.0) if p2_w else _nothing(grid_v),
        None if gap else Observed(PowerReading(p3_w * meters.p3, p3_v), 0.0) if p3_w else _nothing(p3_v),
        None if not panel else Observed(PowerReading(p4_w * meters.p4), 0.0) if p4_w else _nothing(None),
        Observed(BatteryReading(soc_pct, None, None, None, None, output_on), 0.0) if meters.data_link else None,
        _CLOSED if p1_on else _OPEN,
        _CLOSED if p2_on else _OPEN,
        p3_relay,
        event,
        (),
        override,
        busy,
    )


@cache
def _nothing(voltage_v: float | None) -> Observed[PowerReading]:
    """No power, at a voltage."""
    return Observed(PowerReading(0.0, voltage_v), 0.0)
