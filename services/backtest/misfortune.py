"""Random events on random stations, with faults: what `decide()` must stand. All of it hangs on one seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from services.backtest.checker import Checker, Moment, Violation
from services.backtest.faulty_house import KINDS, LIES, Fault, FaultyHouse
from services.controller.decide import decide
from services.controller.model import ManualMode, Memory, Settings
from services.core import event_book
from services.core.config.hardware import RelayDevice
from services.core.config.station import Station
from services.core.event_book import Book
from services.core.events import BadValue, Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.modes import RELAYS, Mode
from services.core.preferences import Preferences
from services.simulator.plant import PlantInputs, PlantParameters, PlantState, step

START = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
"""Near a change to daylight saving, in Europe."""


@dataclass(frozen=True, slots=True)
class Ordeal:
    """One random event with its faults."""

    settings: Settings
    parameters: PlantParameters
    preferences: Preferences
    begin: datetime
    event: Event
    step_s: float
    length_s: float
    soc_pct: float
    load_w: Callable[[float], float]
    faults: tuple[Fault, ...]
    orders: tuple[tuple[float, str, float], ...]
    """Amendments and the like: when, what, and a figure."""


class Outcome(NamedTuple):
    """What came of an ordeal."""

    violations: list[Violation]
    decisions: int
    opened: int
    """How often P1 was commanded open: an ordeal in which nothing ever switches proves little."""


def draw(station: Station, seed: int) -> Ordeal:
    """The ordeal of `seed`."""
    dice = random.Random(f"ordeal {seed}")  # noqa: S311 - a simulation
    station = _varied(station, dice)
    settings = Settings.of(station)
    step_s = dice.choice((5.0, 10.0, 20.0, 30.0, 30.0))
    begin = START + timedelta(minutes=dice.randrange(0, 36 * 60))
    duration = timedelta(minutes=dice.choice((5, 20, 45, 60, 90)))
    lead_s = dice.uniform(0.0, 900.0)
    goals = (Goal(GoalKind.MINIMIZE), Goal(GoalKind.PLEDGE, dice.uniform(0, 400)), Goal(GoalKind.LIMIT, dice.uniform(0, 400)))
    start = begin + timedelta(seconds=lead_s)
    event = Event(f"e{seed}", 0, start, start + duration, dice.choice(goals), (Method.REPLACEMENT,), 0, EventStatus.SCHEDULED)
    length_s = lead_s + duration.total_seconds() + dice.uniform(60.0, 900.0)
    return Ordeal(
        settings=settings,
        parameters=replace(PlantParameters.of(station), ats_delay_s=dice.uniform(0.0, 5.0)),
        preferences=station.preferences.preferences(),
        begin=begin,
        event=event,
        step_s=step_s,
        length_s=length_s,
        soc_pct=dice.choice((dice.uniform(0.0, 100.0), 100.0, settings.battery.floor_pct + dice.uniform(0.0, 4.0))),
        load_w=_load(dice, settings.battery.inverter_w),
        faults=tuple(_fault(dice, length_s) for _ in range(dice.choice((0, 1, 1, 2, 3)))),
        orders=tuple(sorted((dice.uniform(0, length_s), dice.choice(("amend", "cancel", "opt_out", "opt_in", "override")),
                             dice.random()) for _ in range(dice.choice((0, 0, 1, 2))))),
    )  # fmt: skip


def endure(ordeal: Ordeal) -> Outcome:
    """Run the ordeal through the live decision, and check every step."""
    settings, parameters, preferences = ordeal.settings, ordeal.parameters, ordeal.preferences
    checker = Checker(settings, max(settings.battery.floor_pct, preferences.backup_reserve_pct))
    house = FaultyHouse(settings, ordeal.begin, ordeal.load_w, ordeal.faults)
    memory, book, override = Memory(), Book(events={ordeal.event.id: ordeal.event}), None
    plant = PlantState.initial(parameters, soc_pct=ordeal.soc_pct)
    _, flows = step(parameters, plant, PlantInputs(True, False, True, ordeal.load_w(0.0), 0.0), 0.0)
    orders = list(ordeal.orders)
    violations: list[Violation] = []
    decisions = opened = 0
    mode = Mode.GRID
    elapsed_s = 0.0
    while elapsed_s < ordeal.length_s:
        now = house.now(elapsed_s)
        while orders and orders[0][0] <= elapsed_s:
            book, override = _obey(book, orders.pop(0), ordeal.event, now, override)
        book = event_book.advance(book, now)
        snapshot = house.snapshot(flows, elapsed_s, preferences, event_book.current(book), override)
        decision = decide(snapshot, memory, settings, now)
        memory = decision.memory
        truthful = not any(fault.kind in LIES and fault.begin_s <= elapsed_s for fault in ordeal.faults)
        violations += checker.check(Moment(now, elapsed_s, snapshot, decision.mode, flows.soc_pct, truthful))
        opened += not RELAYS[decision.mode].p1 and bool(RELAYS[mode].p1)
        mode = decision.mode
        plant, flows = step(parameters, plant, house.inputs(mode, elapsed_s), ordeal.step_s)
        elapsed_s += ordeal.step_s
        decisions += 1
    return Outcome(violations, decisions, opened)


def _varied(station: Station, dice: random.Random) -> Station:
    """A station of other size and habits."""
    inverter_w = dice.choice((300.0, 600.0, 1800.0, 3000.0))
    battery = station.battery.model_copy(
        update={
            "capacity_wh": dice.choice((60.0, 200.0, 268.0, 1152.0, 3072.0)),
            "inverter_w": inverter_w,
            "charge_w": dice.choice((200.0, 700.0, 1400.0)),
            "floor_pct": dice.choice((0.0, 5.0, 20.0, 50.0)),
        }
    )
    control = station.control.model_copy(update={"settlement_interval": timedelta(minutes=dice.choice((5, 15, 60)))})
    limits = station.limits.model_copy(
        update={
            "dwell_s": dice.choice((60.0, 300.0, 600.0)),
            "switchings_per_day": dice.choice((4, 60)),
            "circuit_limit_w": dice.choice((900.0, 1440.0)),
        }
    )
    preferences = station.preferences.model_copy(update={"backup_reserve_pct": dice.choice((0.0, 10.0, 40.0))})
    positions = station.positions.model_copy(update={"p4": None})
    if dice.random() < 0.3:
        positions = positions.model_copy(update={"p3": RelayDevice(address="http://127.0.0.1:1")})
    changed = {"battery": battery, "control": control, "limits": limits, "preferences": preferences, "positions": positions}
    return station.model_copy(update=changed)


def _load(dice: random.Random, inverter_w: float) -> Callable[[float], float]:
    """A load that cycles between two levels, now and then near or above the inverter's rating."""
    low_w, high_w = dice.uniform(0.0, 150.0), dice.choice((dice.uniform(50.0, 500.0), dice.uniform(0.8, 1.4) * inverter_w))
    period_s, share = dice.uniform(40.0, 2400.0), dice.uniform(0.1, 0.9)
    return lambda at_s: high_w if (at_s / period_s) % 1.0 < share else low_w


def _fault(dice: random.Random, length_s: float) -> Fault:
    begin_s = dice.uniform(0.0, length_s)
    return Fault(dice.choice(KINDS), begin_s, begin_s + dice.choice((15.0, 60.0, 400.0, length_s)), dice.random())


def _obey(
    book: Book, order: tuple[float, str, float], event: Event, now: datetime, override: ManualMode | None
) -> tuple[Book, ManualMode | None]:
    """The book and the manual mode after somebody's order."""
    _, what, figure = order
    if what == "override":
        return book, ManualMode(Mode(int(figure * 6)), now + timedelta(minutes=20 * figure))
    try:
        if what == "amend":
            amended = replace(event, revision=int(figure * 9), end=event.end + timedelta(minutes=60 * figure - 30), changed_at=now)
            return (event_book.schedule(book, amended)[0] if amended.end > amended.start else book), override
        if what == "opt_in":
            return event_book.opt_in(book, event.id, now)[0], override
        return event_book.cancel(book, event.id, now, opted_out=what == "opt_out")[0], override
    except BadValue:
        return book, override
