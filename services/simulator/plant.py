"""The physics of a station: grid, relays, power station, transfer switch, load and PV. Pure.

Power is constant between two changes (a transfer, a full or empty battery, a trip), so `step` cuts its time there and
books energy exactly: P1 + P2 + P4 = load + losses + change of stored energy. Only the taper at the end of a
charge is held constant over a step; at 10 s or 60 s this is far below a meter's resolution.

A power station with passthrough (UPS mode) connects its AC output to its AC input while the grid is there: then P2 carries
what P3 gives on top of the charge, and the battery gives nothing. With P1 inside it there is no other way to the load.
"""

from dataclasses import dataclass
from enum import IntEnum
from math import inf
from typing import Any, NamedTuple

from services.core.config.station import Station
from services.core.modes import AtsPriority


class Source(IntEnum):
    """What the transfer switch connects the load to."""

    GRID = 0
    INVERTER = 1


_GRID, _INVERTER = Source.GRID.value, Source.INVERTER.value
"""Looked up by the million."""


@dataclass(frozen=True, slots=True)
class PlantParameters:
    """The fixed properties of a plant. What no maker states is assumed, and says so."""

    capacity_wh: float
    inverter_w: float
    """Continuous rating of the AC output."""
    charge_w: float
    """Drawn at P2 while charging, before the taper."""
    idle_w: float
    """Drawn from the battery while the inverter is on."""
    discharge_efficiency: float
    """Battery to P3, without the idle draw."""
    charge_efficiency: float
    """P2, or P4, to battery."""
    ats_prefers: Source = Source.GRID
    ats_delay_s: float = 1.0
    """Assumed: the preferred input must have been live this long before the switch returns to it."""
    ats_gap_s: float = 0.02
    """Assumed: the load has no source this long at a transfer."""
    grid_voltage_v: float = 230.0
    overload: float = 1.1
    """Assumed: above this many times its rating the inverter trips, and stays off until its output is switched off."""
    taper_from_pct: float = 90.0
    """Assumed: from here the charger's power falls linearly with the state of charge..."""
    trickle: float = 0.05
    """...down to this share of it at 100 %. Assumed."""
    restart_pct: float = 2.0
    """Assumed: an inverter that stopped on an empty battery starts again from this state of charge."""
    passthrough: bool = False
    """With P2 on, the AC output is connected to the grid."""
    p1_inside: bool = False
    """The load hangs on the AC output, and there is no transfer switch."""
    ac_input_w: float = inf
    """Passthrough and charge together take no more: the charge gives way. What is passed through is not limited (assumed)."""
    ups_gap_s: float = 0.02
    """The AC output is dead this long when it changes between grid and inverter (20 ms in an AC180's data sheet)."""

    @classmethod
    def of(cls, station: Station) -> "PlantParameters":
        """The simulated plant of `station`. A transfer switch of unknown priority is simulated with grid priority."""
        battery, inside = station.battery, station.positions.p1_inside
        return cls(
            capacity_wh=battery.capacity_wh,
            inverter_w=battery.inverter_w,
            charge_w=battery.charge_w,
            idle_w=battery.idle_w,
            discharge_efficiency=battery.discharge_efficiency,
            charge_efficiency=battery.charge_efficiency,
            ats_prefers=Source.INVERTER if station.transfer_switch.priority is AtsPriority.INVERTER or inside else Source.GRID,
            ats_delay_s=station.simulation.ats_delay_s,
            ats_gap_s=station.simulation.ats_gap_s,
            passthrough=station.hardware.passthrough,
            p1_inside=inside,
            ac_input_w=battery.input_w,
        )


class PlantState(NamedTuple):
    """What a plant carries from one step to the next. A named tuple, because millions are made."""

    stored_wh: float
    source: int = Source.GRID
    """Where the transfer switch stands."""
    gap_left_s: float = 0.0
    """Time until a running transfer is over."""
    return_in_s: float | None = None
    """Time until the switch returns to its preferred input; None while it has no cause to."""
    tripped: bool = False
    """The inverter went off by overload."""
    empty: bool = False
    """The inverter went off on an empty battery."""
    p1_wh: float = 0.0
    p2_wh: float = 0.0
    p3_wh: float = 0.0
    p4_wh: float = 0.0
    load_wh: float = 0.0
    """Served."""
    losses_wh: float = 0.0
    unserved_wh: float = 0.0
    unserved_s: float = 0.0
    """Seconds in which a load wanted power and got none."""
    transfers: int = 0
    """Of the transfer switch, and of the power station's own between grid and inverter."""
    through: bool = False
    """The power station passes grid power through to its AC output."""

    @classmethod
    def initial(cls, parameters: PlantParameters, *, soc_pct: float = 60.0) -> "PlantState":
        """A plant at rest on the grid. Raises ValueError for a state of charge outside 0 to 100."""
        source = Source.INVERTER if parameters.p1_inside else Source.GRID
        return cls(stored_wh=stored_at(parameters, soc_pct), source=source)

    def to_dict(self) -> dict[str, Any]:
        """For a state file."""
        return self._asdict()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "PlantState":
        """The inverse of `to_dict`. Raises TypeError for an unknown field, or without `stored_wh`."""
        return cls(**data)


def stored_at(parameters: PlantParameters, soc_pct: float) -> float:
    """The energy in the battery at `soc_pct`. Raises ValueError outside 0 to 100."""
    if not 0.0 <= soc_pct <= 100.0:
        raise ValueError(f"soc_pct is {soc_pct}; it lies between 0 and 100")
    # In this order a full battery holds exactly its capacity.
    return parameters.capacity_wh * (soc_pct / 100.0)


class PlantInputs(NamedTuple):
    """What acts on a plant during a step."""

    p1_on: bool
    p2_on: bool
    p3_on: bool
    """The power station's AC output is switched on."""
    load_w: float
    """What the load wants."""
    pv_w: float
    """What the panel could give."""
    grid_ok: bool = True
    p3_closed: bool = True
    """The relay at P3, between the AC output and the transfer switch; True where there is none."""


class Flows(NamedTuple):
    """Mean powers of a step, and what stands at its end."""

    p1_w: float
    p2_w: float
    p3_w: float
    p4_w: float
    """PV actually taken."""
    load_w: float
    """Served."""
    soc_pct: float
    grid_v: float
    """0 while the grid is out."""
    p3_v: float
    """0 while the AC output is dead."""
    ac_output_on: bool


def step(parameters: PlantParameters, state: PlantState, inputs: PlantInputs, dt_s: float) -> tuple[PlantState, Flows]:
    """The plant after `dt_s` station seconds under constant `inputs`, and the flows in between.

    With `dt_s` = 0 nothing is booked: the flows are those of the instant. Raises ValueError for negative time, load or PV.
    """
    if dt_s < 0.0 or inputs.load_w < 0.0 or inputs.pv_w < 0.0:
        raise ValueError(f"a step takes no negative time, load or PV: dt_s={dt_s}, {inputs}")
    before = state
    left_s = dt_s
    while True:
        state = _switch(parameters, state, inputs)
        state, flows, done_s = _segment(parameters, state, inputs, left_s)
        left_s -= done_s
        if left_s <= 0.0:
            break
    if done_s == dt_s:
        return state, flows
    per_w = 3600.0 / dt_s
    return state, flows._replace(
        p1_w=(state.p1_wh - before.p1_wh) * per_w,
        p2_w=(state.p2_wh - before.p2_wh) * per_w,
        p3_w=(state.p3_wh - before.p3_wh) * per_w,
        p4_w=(state.p4_wh - before.p4_wh) * per_w,
        load_w=(state.load_wh - before.load_wh) * per_w,
    )


def _switch(parameters: PlantParameters, state: PlantState, inputs: PlantInputs) -> PlantState:
    """What happens at an instant: the inverter stops or starts, the transfer switch moves."""
    tripped = state.tripped and inputs.p3_on
    empty = state.empty and state.stored_wh < _restart_wh(parameters)
    inverter = inputs.p3_on and not tripped and not empty
    through = parameters.passthrough and inputs.p2_on and inputs.grid_ok and inputs.p3_on
    if through != state.through:
        return _switch(parameters, _passed(parameters, state, through=through), inputs)
    live = (inputs.p1_on and inputs.grid_ok, (inverter or through) and inputs.p3_closed)
    source = state.source
    return_in_s = state.return_in_s
    if source == parameters.ats_prefers:
        moves = not live[source] and live[1 - source] and not parameters.p1_inside
    elif live[1 - source]:
        return_in_s = parameters.ats_delay_s if return_in_s is None else return_in_s
        moves = return_in_s <= 0.0 or not live[source]
    else:
        return_in_s = None
        moves = False
    if moves:
        source = 1 - source
        return_in_s = None
    if live[1] and not through and source == _INVERTER and inputs.load_w > parameters.inverter_w * parameters.overload:
        return _switch(parameters, state._replace(tripped=True), inputs)
    if (
        inverter
        and state.stored_wh <= 0.0
        and _net_w(parameters, inputs, inputs.load_w if source == _INVERTER and live[1] else 0.0, through=through) < 0.0
    ):
        return _switch(parameters, state._replace(empty=True), inputs)
    if moves:
        gap_s, transfers = parameters.ats_gap_s, state.transfers + 1
    elif tripped == state.tripped and empty == state.empty and return_in_s == state.return_in_s:
        return state
    else:
        gap_s, transfers = state.gap_left_s, state.transfers
    return state._replace(source=source, gap_left_s=gap_s, return_in_s=return_in_s, tripped=tripped, empty=empty, transfers=transfers)


def _passed(parameters: PlantParameters, state: PlantState, *, through: bool) -> PlantState:
    """The state as the power station begins, or ends, to pass grid power through: what hangs on it waits for its relay."""
    if state.source == _GRID:
        return state._replace(through=through)
    gap_s = max(state.gap_left_s, parameters.ups_gap_s)
    return state._replace(through=through, gap_left_s=gap_s, transfers=state.transfers + 1)


def _restart_wh(parameters: PlantParameters) -> float:
    return parameters.capacity_wh * parameters.restart_pct / 100.0


def _net_w(parameters: PlantParameters, inputs: PlantInputs, p3_w: float, *, through: bool) -> float:
    """What an all but empty battery gains while its inverter is on."""
    charge_w = parameters.charge_w if inputs.p2_on and inputs.grid_ok else 0.0
    if through:
        charge_w, p3_w = _beside(parameters, charge_w, p3_w), 0.0
    # Term by term as in _segment: a rounding apart, and an empty battery would neither stop nor go on.
    return (charge_w + inputs.pv_w) * parameters.charge_efficiency - (parameters.idle_w + p3_w / parameters.discharge_efficiency)


def _beside(parameters: PlantParameters, charge_w: float, passed_w: float) -> float:
    """What of the charging power the AC input has room for."""
    return min(charge_w, max(0.0, parameters.ac_input_w - passed_w))


def _segment(parameters: PlantParameters, state: PlantState, inputs: PlantInputs, left_s: float) -> tuple[PlantState, Flows, float]:
    """Constant flows for up to `left_s`, cut short where something changes; with the seconds done."""
    (stored_wh, source, gap_left_s, return_in_s, tripped, empty,
     p1_wh, p2_wh, p3_wh, p4_wh, load_wh, losses_wh, unserved_wh, unserved_s, transfers, through) = state  # fmt: skip
    p1_on, p2_on, p3_on, wanted_w, p4_w, grid_ok, p3_closed = inputs
    inverter = p3_on and not tripped and not empty
    efficiency, capacity_wh = parameters.charge_efficiency, parameters.capacity_wh

    done_s = left_s
    p1_w = p2_w = p3_w = 0.0
    if return_in_s is not None and return_in_s < done_s:
        done_s = return_in_s
    if gap_left_s > 0.0:
        done_s = min(done_s, gap_left_s)
    elif source == _INVERTER:
        p3_w = wanted_w if (inverter or through) and p3_closed else 0.0
    elif p1_on and grid_ok:
        p1_w = wanted_w
    if p2_on and grid_ok:
        p2_w = parameters.charge_w
        over = (100.0 * stored_wh / capacity_wh - parameters.taper_from_pct) / (100.0 - parameters.taper_from_pct)
        if over > 0.0:
            p2_w *= 1.0 - over * (1.0 - parameters.trickle)
    given_w = p3_w
    if through:
        given_w, p2_w = 0.0, _beside(parameters, p2_w, p3_w)
    drain_w = parameters.idle_w + given_w / parameters.discharge_efficiency if inverter else 0.0

    net_w = (p2_w + p4_w) * efficiency - drain_w
    if stored_wh >= capacity_wh:
        p4_w = min(p4_w, drain_w / efficiency)
        p2_w = min(p2_w, drain_w / efficiency - p4_w)
        net_w = min(0.0, (p2_w + p4_w) * efficiency - drain_w)
    hours = done_s / 3600.0
    after_wh = stored_wh + net_w * hours
    limit_wh = _restart_wh(parameters) if empty and p3_on else capacity_wh
    if net_w > 0.0 and after_wh > limit_wh:
        hours = (limit_wh - stored_wh) / net_w
        after_wh = limit_wh
        done_s = hours * 3600.0
    elif after_wh < 0.0:
        hours = stored_wh / -net_w
        after_wh = 0.0
        done_s = hours * 3600.0

    lost_w = (p2_w + p4_w) * (1.0 - efficiency) + drain_w - given_w
    if through:
        p2_w += p3_w
    served_w = p1_w + p3_w
    missing_w = wanted_w - served_w
    state = PlantState(
        after_wh,
        source,
        gap_left_s - done_s if gap_left_s > 0.0 else 0.0,
        None if return_in_s is None else return_in_s - done_s,
        tripped,
        empty,
        p1_wh + p1_w * hours,
        p2_wh + p2_w * hours,
        p3_wh + p3_w * hours,
        p4_wh + p4_w * hours,
        load_wh + served_w * hours,
        losses_wh + lost_w * hours,
        unserved_wh + missing_w * hours,
        unserved_s + done_s if missing_w > 0.0 else unserved_s,
        transfers,
        through,
    )
    output_on = inverter or through
    grid_v, soc_pct = parameters.grid_voltage_v, after_wh / capacity_wh * 100.0
    flows = Flows(p1_w, p2_w, p3_w, p4_w, served_w, soc_pct, grid_v if grid_ok else 0.0, grid_v if output_on else 0.0, output_on)
    return state, flows, done_s
