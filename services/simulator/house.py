"""The simulated house: the plant, moved on to the present whenever somebody looks or switches."""

from datetime import datetime, timedelta
from typing import NamedTuple

from services.bus.clock import Clock
from services.core.config.station import Station
from services.simulator.devices.ina260 import Direct
from services.simulator.devices.wire import Measured
from services.simulator.plant import Flows, PlantInputs, PlantParameters, PlantState, step, stored_at
from services.simulator.sun import Panel
from services.simulator.trace import LoadTrace

_STEP = timedelta(seconds=10)
"""The longest step: load and PV are taken as constant within it."""


class Contacts(NamedTuple):
    """What is switched on: the relays as they are, not as they report."""

    p1: bool = False
    p2: bool = False
    p3: bool = True
    """The power station's AC output, by its own button."""
    p3_relay: bool = True
    """The relay behind that output; closed where there is none."""


class House:
    """The truth about the house, at the clock's time."""

    def __init__(
        self, station: Station, clock: Clock, state: PlantState, *, since: datetime, contacts: Contacts, grid_ok: bool = True
    ) -> None:
        """A house that was so at the station time `since`."""
        self.parameters = PlantParameters.of(station)
        # The state may come from a time when the configured battery was a larger one.
        state = state._replace(stored_wh=min(state.stored_wh, self.parameters.capacity_wh))
        self._clock = clock
        self._trace = LoadTrace.of(station)
        self._panel = Panel.of(station)
        self._state = state
        self._at = since
        self._contacts = contacts
        self._grid_ok = grid_ok
        self._deferrable_w = {name: load.simulated_w for name, load in station.loads.items()}
        self._deferrable_on = dict.fromkeys(self._deferrable_w, True)
        self._deferrable_wh = dict.fromkeys(self._deferrable_w, 0.0)

    @property
    def at(self) -> datetime:
        """The station time up to which the house has been simulated."""
        return self._at

    @property
    def state(self) -> PlantState:
        """The plant's state at that time."""
        return self._state

    @property
    def contacts(self) -> Contacts:
        """What is switched on."""
        return self._contacts

    @property
    def grid_ok(self) -> bool:
        """False during an outage."""
        return self._grid_ok

    def advance(self) -> None:
        """Bring the house to the present."""
        now = self._clock.now()
        while (left := now - self._at) > timedelta(0):
            part = min(left, _STEP)
            inputs = self._inputs(self._at + part / 2)
            self._state, flows = step(self.parameters, self._state, inputs, part.total_seconds())
            self._at += part
            if self._deferrable_w and inputs.load_w > 0.0:
                served_h = flows.load_w / inputs.load_w * part.total_seconds() / 3600.0
                for name, watts in self._deferrable_w.items():
                    self._deferrable_wh[name] += watts * served_h if self._deferrable_on[name] else 0.0

    def flows(self) -> Flows:
        """What flows at this instant."""
        self.advance()
        self._state, flows = step(self.parameters, self._state, self._inputs(self._at), 0.0)
        return flows

    def inputs(self) -> PlantInputs:
        """What acts on the plant at this instant."""
        self.advance()
        return self._inputs(self._at)

    def switch(self, **contacts: bool) -> None:
        """Close or open contacts, now."""
        self.advance()
        self._contacts = self._contacts._replace(**contacts)

    def switch_load(self, name: str, *, on: bool) -> None:
        """Close or open the contact of a deferrable load, now."""
        self.advance()
        self._deferrable_on[name] = on

    def load_meter(self, name: str) -> Measured:
        """What the meter of a deferrable load sees: it hangs on the switched load."""
        flows = self.flows()
        live = flows.load_w > 0.0 and self._deferrable_on[name]
        return Measured(self._deferrable_w[name] if live else 0.0, self._deferrable_wh[name], self.parameters.grid_voltage_v)

    def set_grid(self, ok: bool) -> None:
        """An outage begins or ends, now."""
        self.advance()
        self._grid_ok = ok

    def set_soc(self, soc_pct: float) -> None:
        """Exchange the battery for one with this charge: for tests, outside of the energy book."""
        self.advance()
        self._state = self._state._replace(stored_wh=stored_at(self.parameters, soc_pct))

    def _inputs(self, at: datetime) -> PlantInputs:
        p1, p2, p3, p3_relay = self._contacts
        deferrable_w = sum(watts for name, watts in self._deferrable_w.items() if self._deferrable_on[name])
        return PlantInputs(p1, p2, p3, self._trace.load_w(at) + deferrable_w, self._panel.pv_w(at), self._grid_ok, p3_relay)


class HouseWire:
    """The line of P1 or P2, on the grid side of the house, or of P3, behind the power station's AC output."""

    def __init__(self, house: House, position: str) -> None:
        self._house = house
        self._position = position

    def close(self, closed: bool) -> None:
        """See Wire."""
        self._house.switch(**{"p3_relay" if self._position == "p3" else self._position: closed})

    def measure(self) -> Measured:
        """See Wire."""
        flows, state = self._house.flows(), self._house.state
        if self._position == "p3":
            return Measured(flows.p3_w, state.p3_wh, flows.p3_v)
        power_w, energy_wh = {"p1": (flows.p1_w, state.p1_wh), "p2": (flows.p2_w, state.p2_wh)}[self._position]
        return Measured(power_w, energy_wh, flows.grid_v)


class LoadWire:
    """The line of a deferrable load."""

    def __init__(self, house: House, name: str) -> None:
        self._house = house
        self._name = name

    def close(self, closed: bool) -> None:
        """See Wire."""
        self._house.switch_load(self._name, on=closed)

    def measure(self) -> Measured:
        """See Wire."""
        return self._house.load_meter(self._name)


PANEL_V = 24.0
"""Assumed: the panel's voltage in daylight, whatever flows."""


class HousePanel:
    """The direct-current line of P4, as a chip in it sees it."""

    def __init__(self, house: House) -> None:
        self._house = house

    def __call__(self) -> Direct:
        """Voltage and current now."""
        if self._house.inputs().pv_w <= 0.0:
            return Direct(0.0, 0.0)
        return Direct(PANEL_V, self._house.flows().p4_w / PANEL_V)
