"""An emulated Shelly on a free port, wired to a load that draws power whenever the contact is closed."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.core.config.hardware import RelayDevice
from services.simulator.devices.faults import Faults
from services.simulator.devices.shelly_device import ShellyDevice
from services.simulator.devices.shelly_gen1 import ShellyGen1
from services.simulator.devices.shelly_gen2 import ShellyGen2
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from services.simulator.devices.wire import Measured

PASSWORD = "korrekt pferd"


@dataclass
class Load:
    """A wire to 120 W. Notes when its contact moved."""

    closed: bool = False
    moves: list[tuple[bool, float]] = field(default_factory=list)
    energy_wh: float = 42.5

    def close(self, closed: bool) -> None:
        if closed != self.closed:
            self.moves.append((closed, time.monotonic()))
        self.closed = closed

    def measure(self) -> Measured:
        return Measured(120.0 if self.closed else 0.0, self.energy_wh, 230.0)


@dataclass(frozen=True)
class Emulated:
    """One channel of a device."""

    device: ShellyDevice
    load: Load
    channel: int = 0

    @property
    def switch(self) -> Switch:
        return self.device.switches[self.channel]

    @property
    def gen2(self) -> ShellyGen2:
        assert isinstance(self.device, ShellyGen2)
        return self.device

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.device.port}"

    @property
    def left_s(self) -> float | None:
        """What is left of its timer."""
        return self.switch.timer_left_s

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` from now on."""
        self.switch.suffer(faults)
        await self.device.suffer(faults)

    def configured(self, timeout_s: float, poll_s: float = 0.1, **more: object) -> RelayDevice:
        driver = "shelly_gen1" if isinstance(self.device, ShellyGen1) else "shelly_gen2"
        told = {"driver": driver, "address": self.address, "channel": self.channel, "timeout_s": timeout_s, "poll_s": poll_s}
        return RelayDevice.model_validate(told | more)


@asynccontextmanager
async def shelly(
    *, on: bool = True, name: str = "p1", generation: int = 2, password: str | None = None, port: int = 0
) -> AsyncIterator[Emulated]:
    """A device that boots `on` or off."""
    load = Load()
    switches = {0: Switch(load, SwitchConfig(initial_state="on" if on else "off"))}
    device = (ShellyGen1 if generation == 1 else ShellyGen2)(name, switches, host="127.0.0.1", port=port, password=password)
    await device.start()
    try:
        yield Emulated(device, load)
    finally:
        await device.stop()


@asynccontextmanager
async def two_channels(*, generation: int = 2, password: str | None = None) -> AsyncIterator[tuple[Emulated, Emulated]]:
    """One device whose channel 0 boots on and channel 1 off, as P1 and P2 do."""
    loads = Load(), Load()
    switches = {number: Switch(load, SwitchConfig(initial_state="off" if number else "on")) for number, load in enumerate(loads)}
    device = (ShellyGen1 if generation == 1 else ShellyGen2)("both", switches, host="127.0.0.1", port=0, password=password)
    await device.start()
    try:
        yield Emulated(device, loads[0], 0), Emulated(device, loads[1], 1)
    finally:
        await device.stop()


@asynccontextmanager
async def two_devices(*, generation: int = 2, password: str | None = None) -> AsyncIterator[tuple[Emulated, Emulated]]:
    """A device at P1 that boots on, and one at P2 that boots off."""
    async with (
        shelly(on=True, name="p1", generation=generation, password=password) as p1,
        shelly(on=False, name="p2", generation=generation, password=password) as p2,
    ):
        yield p1, p2


def var_with_secret(folder: Path, name: str, password: str) -> Path:
    """A folder of state, and beside it the secret, as a person would have written it."""
    var = folder / "var"
    for made in (var, folder / "secrets"):
        made.mkdir()
    (folder / "secrets" / name).write_text(f"{password}\n", encoding="utf-8")
    return var
