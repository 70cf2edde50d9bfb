"""What energy went where, how well the battery carried it, and what that cost in wear. Pure; unknown is never zero.

Each figure stands for the time that it covers, and carries that share. Figures are of what was measured at P1 to P4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.core.energy import UNKNOWN, Energy
from services.core.money import wear_per_wh

FLOWS = ("p1", "p2", "p3", "p4", "import", "load", "avoided")
"""Positions, and what they add up to: `services.core.energy.Quantity`."""
LEAST_COVERED = 0.95
"""Of the time in which P2, P3 and P4 must be known before the battery's efficiency is told."""
LEAST_CYCLES = 0.5
"""Charging with so much of the capacity at least: less, and the state of charge, in whole per cents, decides all."""


@dataclass(frozen=True, slots=True)
class Period:
    """A time and what flowed in it, by the names of FLOWS."""

    start: datetime
    end: datetime
    flows: Mapping[str, Energy]
    metered: float
    """Share of the time in which P1, P2 and P3 are all known."""

    @property
    def length_s(self) -> float:
        """How long it is, clocks changed or not."""
        return self.end.timestamp() - self.start.timestamp()


@dataclass(frozen=True, slots=True)
class Store:
    """What must be known of a battery to judge it."""

    capacity_wh: float
    charge_efficiency: float
    discharge_efficiency: float
    cycle_life: int
    price: float | None
    has_pv: bool
    """Whether there is a P4 at all: without one nothing comes in there, and that is known."""


@dataclass(frozen=True, slots=True)
class Account:
    """A period and what it says of the battery."""

    period: Period
    grid_charged: Energy
    """P2: what the grid gave to the battery."""
    pv_used: Energy
    """P4: what the sun gave to the battery. What a full battery turned away is not measured, and not in it."""
    given: Energy
    """P3: what the battery gave to the load."""
    avoided: Energy
    """P3 - P2: what the grid had not to give to the load, less what it gave to the battery instead."""
    cycles: Energy
    """Full cycles (not Wh) that `given` amounts to at the cells."""
    wear: Energy
    """What they cost, in the currency of the battery's price; unknown without one."""
    stored_wh: float | None
    """How much more the battery held at the end than at the start, by its state of charge."""
    round_trip: float | None
    """What came out over what went in, by `round_trip_of`."""
    round_trip_note: str | None
    """Why there is none."""


def so_far(period: Period, until: datetime) -> Period | None:
    """The part of `period` before `until`, with its shares in proportion; None where it has not begun. Nothing flows after `until`."""
    if period.end <= until:
        return period
    if period.start >= until:
        return None
    scale = period.length_s / (until.timestamp() - period.start.timestamp())
    flows = {name: Energy(one.energy_wh, min(one.covered * scale, 1.0)) for name, one in period.flows.items()}
    return Period(period.start, until, flows, min(period.metered * scale, 1.0))


def total(periods: Sequence[Period]) -> Period:
    """All of them as one: energies add up, shares count by length. Raises ValueError for none."""
    if not periods:
        raise ValueError("there must be at least one period")
    length_s = sum(one.length_s for one in periods)
    flows = {}
    for name in FLOWS:
        known = [(one.flows[name], one.length_s) for one in periods if one.flows[name].energy_wh is not None]
        share = min(sum(energy.covered * part_s for energy, part_s in known) / length_s, 1.0)
        flows[name] = Energy(sum(energy.energy_wh or 0.0 for energy, _ in known), share) if known else UNKNOWN
    metered = min(sum(one.metered * one.length_s for one in periods) / length_s, 1.0)
    return Period(min(one.start for one in periods), max(one.end for one in periods), flows, metered)


def account(period: Period, store: Store, soc_pct: tuple[float | None, float | None] = (None, None)) -> Account:
    """What `period` says of the battery; `soc_pct` is its state of charge at the start and at the end."""
    given = period.flows["p3"]
    pv = period.flows["p4"] if store.has_pv else Energy(0.0, 1.0)
    first, last = soc_pct
    stored_wh = None if first is None or last is None else (last - first) / 100 * store.capacity_wh
    round_trip, note = round_trip_of(period.flows["p2"], pv, given, stored_wh, store)
    per_wh = wear_per_wh(store.price, store.cycle_life, store.capacity_wh, store.discharge_efficiency) if store.price else None
    return Account(
        period=period,
        grid_charged=period.flows["p2"],
        pv_used=pv,
        given=given,
        avoided=period.flows["avoided"],
        cycles=_times(given, 1 / (store.capacity_wh * store.discharge_efficiency)),
        wear=UNKNOWN if per_wh is None else _times(given, per_wh),
        stored_wh=stored_wh,
        round_trip=round_trip,
        round_trip_note=note,
    )


def round_trip_of(grid: Energy, pv: Energy, given: Energy, stored_wh: float | None, store: Store) -> tuple[float | None, str | None]:
    """The battery's round-trip efficiency, or why it cannot be told.

    What was given over what was taken in, once what is stored more at the end counts as given (through the inverter), or
    what is stored less as taken in (through the charger): that part alone rests on the efficiencies of the station file.
    """
    parts = {"P2": grid, "P3": given} | ({"P4": pv} if store.has_pv else {})
    if lacking := [name for name, one in parts.items() if one.energy_wh is None or one.covered < LEAST_COVERED]:
        return None, f"{', '.join(lacking)} known for less than {LEAST_COVERED:.0%} of the time"
    if stored_wh is None:
        return None, "the state of charge is not known at the start or the end"
    taken_wh = (grid.energy_wh or 0.0) + (pv.energy_wh or 0.0)
    given_wh = given.energy_wh or 0.0
    if taken_wh < LEAST_CYCLES * store.capacity_wh:
        return None, f"charged with less than {LEAST_CYCLES:.0%} of its capacity"
    more_wh = max(stored_wh, 0.0) * store.discharge_efficiency
    less_wh = max(-stored_wh, 0.0) / store.charge_efficiency
    return (given_wh + more_wh) / (taken_wh + less_wh), None


def _times(energy: Energy, factor: float) -> Energy:
    return Energy(None if energy.energy_wh is None else energy.energy_wh * factor, energy.covered)
