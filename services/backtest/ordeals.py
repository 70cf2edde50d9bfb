"""Random events on random stations, with faults. All of an ordeal hangs on its seed."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from services.backtest.faulty_house import KINDS, Fault
from services.controller.model import Settings
from services.core.config.hardware import RelayDevice
from services.core.config.station import Station
from services.core.events import Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.loads import ShiftRules
from services.core.preferences import Preferences
from services.simulator.plant import PlantParameters

START = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
"""Near a change to daylight saving, in Europe."""
METHODS = (
    (Method.REPLACEMENT,),
    (Method.REPLACEMENT,),
    (Method.SHIFTING, Method.REPLACEMENT),
    (Method.REPLACEMENT, Method.SHIFTING),
    (Method.REPLACEMENT, Method.CURTAILMENT),
    (Method.CURTAILMENT,),
)


@dataclass(frozen=True, slots=True)
class Ordeal:
    """One random event with its faults."""

    settings: Settings
    loads: Mapping[str, ShiftRules]
    """The deferrable loads that may be shifted."""
    always_on: tuple[str, ...]
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
    """Amendments, restarts and the like: when, what, and a figure."""
    steadied: bool
    """Between the clock and the decision stands what doubts a step of the clock, as it does live."""


def draw(stations: Sequence[Station], seed: int) -> Ordeal:
    """The ordeal of `seed`, on a variation of one of `stations`."""
    dice = random.Random(f"ordeal {seed}")  # noqa: S311 - a simulation
    station = dice.choice(stations)
    lenders = [each for each in stations if each.loads]
    if lenders and dice.random() < 0.3:
        # Deferrable loads go with any hardware.
        lender = dice.choice(lenders)
        station = station.model_copy(update={"loads": lender.loads, "always_on": lender.always_on})
    station = _varied(station, dice)
    settings = Settings.of(station)
    step_s = dice.choice((5.0, 10.0, 20.0, 30.0, 30.0))
    begin = START + timedelta(minutes=dice.randrange(0, 36 * 60))
    duration = timedelta(minutes=dice.choice((5, 20, 45, 60, 90)))
    lead_s = dice.uniform(0.0, 900.0)
    goals = (Goal(GoalKind.MINIMIZE), Goal(GoalKind.PLEDGE, dice.uniform(0, 400)), Goal(GoalKind.LIMIT, dice.uniform(0, 400)))
    start = begin + timedelta(seconds=lead_s)
    event = Event(f"e{seed}", 0, start, start + duration, dice.choice(goals), dice.choice(METHODS), 0, EventStatus.SCHEDULED)
    length_s = lead_s + duration.total_seconds() + dice.uniform(60.0, 900.0)
    return Ordeal(
        settings=settings,
        loads={
            name: ShiftRules(load.longest_off, load.off_within, load.resume_within)
            for name, load in station.loads.items()
            if name not in station.always_on
        },
        always_on=tuple(station.always_on),
        parameters=replace(PlantParameters.of(station), ats_delay_s=dice.uniform(0.0, 5.0)),
        preferences=station.preferences.preferences(),
        begin=begin,
        event=event,
        step_s=step_s,
        length_s=length_s,
        soc_pct=dice.choice((dice.uniform(0.0, 100.0), 100.0, settings.battery.floor_pct + dice.uniform(0.0, 4.0))),
        load_w=_load(dice, settings.battery.inverter_w),
        faults=tuple(_fault(dice, length_s) for _ in range(dice.choice((0, 1, 1, 2, 3)))),
        orders=tuple(sorted((dice.uniform(0, length_s), dice.choice(("amend", "cancel", "opt_out", "opt_in", "override", "restart")),
                             dice.random()) for _ in range(dice.choice((0, 0, 1, 2, 3))))),
        steadied=dice.random() < 0.5,
    )  # fmt: skip


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
    preferences = station.preferences.model_copy(
        update={"backup_reserve_pct": dice.choice((0.0, 10.0, 40.0)), "methods": tuple(Method)},
    )
    positions = station.positions.model_copy(update={"p4": None})
    if dice.random() < 0.3 and not isinstance(positions.p3, RelayDevice) and not positions.output_switched:
        positions = positions.model_copy(update={"p3": RelayDevice(address="http://127.0.0.1:1")})
    loads = {
        name: load.model_copy(update={"longest_off": dice.choice((timedelta(minutes=10), timedelta(minutes=40), timedelta(hours=3)))})
        for name, load in station.loads.items()
    }
    if dice.random() < 0.5:
        # Only what is stated may be curtailed, and nothing of it that must always be on.
        station = station.model_copy(update={"switched_load": ["lamps", *loads]})
    changed = {"loads": loads, "battery": battery, "control": control, "limits": limits, "preferences": preferences, "positions": positions}
    return station.model_copy(update=changed)


def _load(dice: random.Random, inverter_w: float) -> Callable[[float], float]:
    """A load that cycles between two levels, now and then near or above the inverter's rating."""
    low_w, high_w = dice.uniform(0.0, 150.0), dice.choice((dice.uniform(50.0, 500.0), dice.uniform(0.8, 1.4) * inverter_w))
    period_s, share = dice.uniform(40.0, 2400.0), dice.uniform(0.1, 0.9)
    return lambda at_s: high_w if (at_s / period_s) % 1.0 < share else low_w


def _fault(dice: random.Random, length_s: float) -> Fault:
    begin_s = dice.uniform(0.0, length_s)
    return Fault(dice.choice(KINDS), begin_s, begin_s + dice.choice((15.0, 60.0, 400.0, length_s)), dice.random())
