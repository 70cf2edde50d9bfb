"""The simulated house, or one emulated relay, on free ports inside a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import requests

from services.bus.runtime import load_station
from services.core.config.station import Station
from services.simulator.devices.faults import Faults
from services.simulator.devices.shelly_gen2 import ShellyGen2
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from services.simulator.devices.wire import Measured
from services.simulator.lease import Lease
from services.simulator.rig import Rig
from services.simulator.state import Saved
from tests.support.sps import station_file


def simulated_station(folder: Path, **changes: dict[str, Any]) -> Station:
    """The shipped station on free ports, with `changes` merged into its sections."""
    return load_station(station_file(folder, **changes))


@asynccontextmanager
async def running_house(station: Station, *, speed: float = 1.0, saved: Saved | None = None) -> AsyncIterator[Rig]:
    """House and devices of `station`, without the bus."""
    async with Rig(station, speed=speed, lease=Lease(None), saved=saved) as rig:
        yield rig


class SteadyWire:
    """A line with a constant load behind the contact."""

    def __init__(self, power_w: float) -> None:
        self.power_w = power_w
        self.energy_wh = 0.0
        self.closed = False

    def close(self, closed: bool) -> None:
        self.closed = closed

    def measure(self) -> Measured:
        return Measured(self.power_w if self.closed else 0.0, self.energy_wh, 230.0)


class EmulatedShelly:
    """One emulated Shelly with a steady load."""

    def __init__(self, *, on: bool, power_w: float) -> None:
        self.wire = SteadyWire(power_w)
        self.switch = Switch(self.wire, SwitchConfig(initial_state="on" if on else "off"))
        self.device = ShellyGen2("test", {0: self.switch}, host="127.0.0.1", port=0)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.device.port}"

    async def suffer(self, **faults: Any) -> None:
        """Have exactly these faults, named as in `Faults`."""
        checked = Faults.model_validate(faults)
        self.switch.suffer(checked)
        await self.device.suffer(checked)


@asynccontextmanager
async def emulated_shelly(*, on: bool = True, power_w: float = 120.0) -> AsyncIterator[EmulatedShelly]:
    """A Shelly that boots `on` or off and carries `power_w` while its contact is closed."""
    shelly = EmulatedShelly(on=on, power_w=power_w)
    await shelly.device.start()
    try:
        yield shelly
    finally:
        await shelly.device.stop()


async def get(url: str, **options: Any) -> requests.Response:
    """`requests.get` beside a loop."""
    return await asyncio.to_thread(requests.get, url, timeout=options.pop("timeout", 5), **options)


async def post(url: str, body: object = None, **options: Any) -> requests.Response:
    """`requests.post` of `body` as JSON, beside a loop."""
    return await asyncio.to_thread(requests.post, url, json=body, timeout=options.pop("timeout", 5), **options)


async def rpc(address: str, method: str, **params: Any) -> Any:
    """The response frame of a Shelly's `POST /rpc`."""
    return (await post(f"{address}/rpc", {"id": 7, "src": "test", "method": method, "params": params})).json()
