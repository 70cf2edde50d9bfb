"""The house with its devices on their ports: everything but the bus."""

import os
from typing import Any, Self
from urllib.parse import urlsplit

from services.bus.clock import utc_now
from services.core.config.hardware import RelayDevice
from services.core.config.station import Station
from services.core.positions import SAFE_RELAY_STATE, Position
from services.simulator.devices.faults import Faults
from services.simulator.devices.shelly_gen2 import ShellyGen2
from services.simulator.devices.shelly_switch import SavedSwitch, Switch, SwitchConfig
from services.simulator.devices.station_port import StationPort
from services.simulator.house import Contacts, House, HouseWire
from services.simulator.lease import Lease
from services.simulator.master_clock import MasterClock
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.state import Saved, SavedRate, resume

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STATION = "station"
"""The name of the station port among the devices that can have faults."""

Address = tuple[str, int]


class NotSimulatable(ValueError):
    """A station that cannot be simulated as configured: names the field, its value and what would be right."""


class PortTaken(OSError):
    """A device's port cannot be had."""


def endpoint(field: str, address: str) -> Address:
    """Host and port of a simulated device. Raises NotSimulatable."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host not in _LOOPBACK or port is None:
        raise NotSimulatable(f"{field}: {address!r}; a simulated device needs a loopback URL with a port, such as 'http://127.0.0.1:18081'")
    return host, port


class Rig:
    """A simulated station: its clock, its house and, inside `async with`, its devices. See `Controls` for what its port can do."""

    def __init__(self, station: Station, *, speed: float, lease: Lease, saved: Saved | None = None) -> None:
        """Raises NotSimulatable for an address that is not loopback."""
        resumed = resume(saved, utc_now(), speed)
        if saved is None:
            saved = Saved(station_time=resumed.house_since, plant=PlantState.initial(PlantParameters.of(station)).to_dict())
        closed = {position: switch.output for position, switch in saved.relays.items()}
        contacts = Contacts(
            p1=closed.get("p1", SAFE_RELAY_STATE[Position.P1]), p2=closed.get("p2", SAFE_RELAY_STATE[Position.P2]), p3=saved.ac_output_on
        )
        self.clock = MasterClock(resumed.rate)
        self.house = House(station, self.clock, saved.plant_state(), since=resumed.house_since, contacts=contacts, grid_ok=saved.grid_ok)
        self._station = station
        self._lease = lease
        relays = station.positions.relays()
        self.switches = {position: _switch(self.house, position, saved.relays.get(position)) for position in relays}
        self._devices = _devices(station.station, relays, self.switches, powered=saved.grid_ok)
        self._port_address = endpoint("battery.address", station.battery.address)
        self._port = StationPort(self, host=self._port_address[0], port=self._port_address[1])

    async def __aenter__(self) -> Self:
        """Start the devices. Raises PortTaken."""
        started: dict[Address, ShellyGen2 | StationPort] = {**self._devices, self._port_address: self._port}
        for (host, port), device in started.items():
            try:
                await device.start()
            except OSError as error:
                await self.__aexit__()
                raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror or error}; is another simulator running?") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop them."""
        for device in self._devices.values():
            await device.stop()
        await self._port.stop()

    def saved(self) -> Saved:
        """All that a later rig needs to go on from here."""
        self.house.advance()
        rate = self.clock.rate()
        return Saved(
            station_time=self.house.at,
            plant=self.house.state.to_dict(),
            saved_wall=utc_now(),
            rate=SavedRate(epoch_wall=rate.epoch_wall, epoch_station=rate.epoch_station, speed=rate.speed),
            relays={position: switch.saved() for position, switch in self.switches.items()},
            ac_output_on=self.house.contacts.p3,
            grid_ok=self.house.grid_ok,
        )

    def status(self) -> dict[str, Any]:
        """See Controls."""
        flows = self.house.flows()
        return {
            "soc_pct": round(flows.soc_pct, 2),
            "ac_in_w": round(flows.p2_w, 1),
            "ac_out_w": round(flows.p3_w, 1),
            "dc_in_w": round(flows.p4_w, 1),
            "dc_out_w": 0.0,
            "ac_output_on": flows.ac_output_on,
            "eco_mode": False,
        }

    def truth(self) -> dict[str, Any]:
        """See Controls."""
        flows, inputs, state = self.house.flows(), self.house.inputs(), self.house.state
        return {
            "station_time": self.house.at.isoformat(),
            "soc_pct": flows.soc_pct,
            "unserved_s": state.unserved_s,
            "grid_ok": inputs.grid_ok,
            "wanted_w": inputs.load_w,
            "available_pv_w": inputs.pv_w,
            "contacts": self.house.contacts._asdict(),
            "relays": {
                position: {"output": switch.output, "contact": switch.contact, "timer_left_s": switch.timer_left_s}
                for position, switch in self.switches.items()
            },
            "flows": flows._asdict(),
            "state": state.to_dict(),
        }

    def identity(self) -> dict[str, Any]:
        """See Controls."""
        return {"name": "sps-simulator", "station": self._station.station, "speed": self.clock.speed, "pid": os.getpid()}

    async def suffer(self, device: str, faults: Faults, *, reboot: bool) -> None:
        """See Controls."""
        if device == _STATION:
            if reboot or faults.welded or faults.wrong_state or faults.refuse:
                raise ValueError("device: 'station' is no relay and always accepts connections; it can be silent, late or wrong")
            self._port.suffer(faults)
        elif device in self.switches:
            self.switches[device].suffer(faults)
            shelly = self._device_at(device)
            await shelly.suffer(faults)
            if reboot:
                await shelly.reboot()
        else:
            raise ValueError(f"device: {device!r} is none of {', '.join([*self.switches, _STATION])}")

    async def set_grid(self, *, ok: bool) -> None:
        """See Controls. The relays are fed from the grid side: they are silent while it is out, and boot when it returns."""
        self.house.set_grid(ok)
        for device in self._devices.values():
            await device.power(ok)

    def set_soc(self, pct: float) -> None:
        """See Controls."""
        self.house.set_soc(pct)

    def set_ac_output(self, *, on: bool) -> None:
        """See Controls."""
        self.house.switch(p3=on)

    def renew_lease(self, seconds: float | None) -> None:
        """See Controls."""
        self._lease.renew(seconds)

    def _device_at(self, position: str) -> ShellyGen2:
        switch = self.switches[position]
        return next(device for device in self._devices.values() if switch in device.switches.values())


def _switch(house: House, position: str, saved: SavedSwitch | None) -> Switch:
    safe_on = SAFE_RELAY_STATE[Position(position)]
    switch = Switch(HouseWire(house, position), SwitchConfig(name=position, initial_state="on" if safe_on else "off"))
    if saved is not None:
        switch.restore(saved)
    return switch


def _devices(station: str, relays: dict[str, RelayDevice], switches: dict[str, Switch], *, powered: bool) -> dict[Address, ShellyGen2]:
    """One device an address: two positions may be two channels of one."""
    channels: dict[Address, dict[int, Switch]] = {}
    for position, relay in relays.items():
        where = endpoint(f"positions.{position}.address", relay.address)
        channels.setdefault(where, {})[relay.channel] = switches[position]
    return {
        (host, port): ShellyGen2(f"{station}-{port}", of_device, host=host, port=port, powered=powered)
        for (host, port), of_device in channels.items()
    }
