"""The house with its devices on their ports: everything but the bus."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

from services.bus.clock import utc_now
from services.core.config.hardware import Ina260Sensor, RelayDevice
from services.core.config.station import Station
from services.core.modes import Switchboard
from services.core.positions import Position
from services.simulator.devices.bluetti_port import SCHEME, BluettiPort
from services.simulator.devices.faults import Faults
from services.simulator.devices.ina260 import Ina260Chip
from services.simulator.devices.ina260_port import CHIP_FAULTS, Ina260Port
from services.simulator.devices.relay_kinds import RelayEmulator, emulator, url_of
from services.simulator.devices.shelly_switch import SavedSwitch, Switch, SwitchConfig
from services.simulator.devices.station_port import StationPort
from services.simulator.house import Contacts, House, HousePanel, HouseWire, LoadWire
from services.simulator.lease import Lease
from services.simulator.master_clock import MasterClock
from services.simulator.place import ON_LOOPBACK, Address, NotSimulatable, Place
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.state import Saved, SavedRate, resume

_STATION = "station"
"""The name of the station port among the devices that can have faults."""

NO_PASSWORDS: Mapping[str, str] = MappingProxyType({})


class PortTaken(OSError):
    """A device's port cannot be had."""


class Rig:
    """A simulated station: its clock, its house and, inside `async with`, its devices. See `Controls` for what its port can do."""

    def __init__(
        self,
        station: Station,
        *,
        speed: float,
        lease: Lease,
        saved: Saved | None = None,
        passwords: Mapping[str, str] = NO_PASSWORDS,
        place: Place = ON_LOOPBACK,
    ) -> None:
        """`passwords` by position. Raises NotSimulatable for an address that is not at `place`."""
        board = station.board
        resumed = resume(saved, utc_now(), speed)
        if saved is None:
            saved = Saved(station_time=resumed.house_since, plant=PlantState.initial(PlantParameters.of(station)).to_dict())
        closed = {position: switch.output for position, switch in saved.relays.items()}
        contacts = Contacts(
            p1=closed.get("p1", board.safe(Position.P1)) and not board.hardware.p1_inside,
            p2=closed.get("p2", board.safe(Position.P2)),
            p3=saved.ac_output_on,
            p3_relay=closed.get("p3", board.safe(Position.P3)) or "p3" not in station.positions.relays(),
        )
        self.clock = MasterClock(resumed.rate)
        self.house = House(station, self.clock, saved.plant_state(), since=resumed.house_since, contacts=contacts, grid_ok=saved.grid_ok)
        self._station = station
        self._lease = lease
        relays: dict[str, RelayDevice] = {**station.positions.relays(), **station.loads}
        self.switches = {position: _switch(self.house, position, board, saved.relays.get(position)) for position in relays}
        self._devices = _devices(station.station, relays, self.switches, passwords, place, powered=saved.grid_ok)
        self._bluetti = self._bluetti_of(station, place)
        self._port_address = place.endpoint("simulation.port_address" if self._bluetti else "battery.address", station.simulator_address)
        self._port = StationPort(self, host=self._port_address[0], port=self._port_address[1])
        self._chips = {name: _chip(self.house, name, sensor, place) for name, sensor in station.positions.ina260s().items()}

    async def __aenter__(self) -> Self:
        """Start the devices. Raises PortTaken."""
        started: dict[Address, RelayEmulator | StationPort | Ina260Port | BluettiPort] = {**self._devices, self._port_address: self._port}
        started |= dict(self._chips.values())
        if self._bluetti is not None:
            started[self._bluetti.host, self._bluetti.port] = self._bluetti
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
        for _, chip in self._chips.values():
            await chip.stop()
        if self._bluetti is not None:
            await self._bluetti.stop()
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
            # The relay at P3 is among the relays, where there is one.
            "contacts": {name: closed for name, closed in self.house.contacts._asdict().items() if name != "p3_relay"},
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
        if device == _STATION and self._bluetti is not None:
            await self._bluetti.suffer(faults, reboot=reboot)
        elif device == _STATION:
            if reboot or faults.welded or faults.wrong_state or faults.refuse:
                raise ValueError("device: 'station' is no relay and always accepts connections; it can be silent, late or wrong")
            self._port.suffer(faults)
        elif device in self._chips:
            if strange := faults.model_dump(exclude_defaults=True).keys() - CHIP_FAULTS:
                raise ValueError(f"device: {device!r} is a chip on a bus and cannot have {', '.join(sorted(strange))}")
            await self._chips[device][1].suffer(faults)
            if reboot:
                self._chips[device][1].chip.power_on()
        elif device in self.switches:
            self.switches[device].suffer(faults)
            shelly = self._device_at(device)
            await shelly.suffer(faults)
            if reboot:
                await shelly.reboot()
        else:
            raise ValueError(f"device: {device!r} is none of {', '.join([*self.switches, *self._chips, _STATION])}")

    async def set_grid(self, *, ok: bool) -> None:
        """See Controls. Relays are fed from the grid side: they are silent while it is out, and boot when it returns.

        One at P3 is fed by the power station; that it falls silent when the AC output goes off is not simulated.
        """
        self.house.set_grid(ok)
        for device in self._devices.values():
            if not any(switch is self.switches.get("p3") for switch in device.switches.values()):
                await device.power(ok)

    def press(self, device: str) -> None:
        """See Controls."""
        if device not in self.switches:
            raise ValueError(f"device: {device!r} is none of {', '.join(self.switches)}")
        self.switches[device].press()

    def set_soc(self, pct: float) -> None:
        """See Controls."""
        self.house.set_soc(pct)

    def set_ac_output(self, *, on: bool) -> None:
        """See Controls."""
        self.house.switch(p3=on)

    def renew_lease(self, seconds: float | None) -> None:
        """See Controls."""
        self._lease.renew(seconds)

    def _bluetti_of(self, station: Station, place: Place) -> BluettiPort | None:
        battery = station.battery
        if not battery.address.startswith(SCHEME):
            return None
        try:
            return BluettiPort(
                battery.address, battery.model, self.status, lambda on: self.set_ac_output(on=on), listens_at=place.listens_at
            )
        except ValueError as error:
            raise NotSimulatable(str(error)) from None

    def _device_at(self, position: str) -> RelayEmulator:
        switch = self.switches[position]
        return next(device for device in self._devices.values() if switch in device.switches.values())


def _chip(house: House, position: str, sensor: Ina260Sensor, place: Place) -> tuple[Address, Ina260Port]:
    if not sensor.simulated:
        raise NotSimulatable(f"positions.{position}.bus: {sensor.bus!r}; a simulated chip needs the bus 'simulated'")
    host, port = place.endpoint(f"positions.{position}.bus", str(sensor.bus).replace(":", "://", 1))
    return (host, port), Ina260Port(Ina260Chip(HousePanel(house), address=sensor.address), host=host, port=port)


def _switch(house: House, position: str, board: Switchboard, saved: SavedSwitch | None) -> Switch:
    load = position not in set(Position)
    safe_on = load or board.safe(Position(position))
    switch = Switch(
        LoadWire(house, position) if load else HouseWire(house, position),
        SwitchConfig(name=position, initial_state="on" if safe_on else "off"),
    )
    if saved is not None:
        switch.restore(saved)
    return switch


def _devices(
    station: str, relays: dict[str, RelayDevice], switches: dict[str, Switch], passwords: Mapping[str, str], place: Place, *, powered: bool
) -> dict[Address, RelayEmulator]:
    """One device an address: two positions may be two channels of one. Raises NotSimulatable."""
    positions: dict[Address, list[str]] = {}
    for position, relay in relays.items():
        positions.setdefault(place.endpoint(f"positions.{position}.address", url_of(relay)), []).append(position)
    devices: dict[Address, RelayEmulator] = {}
    for (host, port), here in positions.items():
        if len({(relays[position].driver, passwords.get(position)) for position in here}) > 1:
            raise NotSimulatable(f"positions.{here[-1]}: one device at {host}:{port} cannot have two drivers or two passwords")
        try:
            devices[host, port] = emulator(
                relays[here[0]],
                f"{station}-{port}",
                {relays[position].channel: switches[position] for position in here},
                host=host,
                port=port,
                powered=powered or "p3" in here,
                password=passwords.get(here[0]),
            )
        except ValueError as error:
            raise NotSimulatable(f"positions.{here[0]}: {error}") from None
    return devices
