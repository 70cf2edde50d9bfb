"""An emulated Shelly on a free port, wired to a load that draws power whenever the contact is closed."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.core.config.hardware import RelayDevice
from services.simulator.devices.faults import Faults
from services.simulator.devices.shelly_gen2 import ShellyGen2
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from services.simulator.devices.wire import Measured


@dataclass
class Load:
    """A wire to 120 W. Notes when its contact moved."""

    closed: bool = False
    moves: list[tuple[bool, float]] = field(default_factory=list)

    def close(self, closed: bool) -> None:
        if closed != self.closed:
            self.moves.append((closed, time.monotonic()))
        self.closed = closed

    def measure(self) -> Measured:
        return Measured(120.0 if self.closed else 0.0, 42.5, 230.0)


@dataclass(frozen=True)
class Emulated:
    device: ShellyGen2
    load: Load

    @property
    def switch(self) -> Switch:
        return self.device.switches[0]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.device.port}"

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` from now on."""
        self.switch.suffer(faults)
        await self.device.suffer(faults)

    def configured(self, timeout_s: float, poll_s: float = 0.1) -> RelayDevice:
        return RelayDevice(address=self.address, timeout_s=timeout_s, poll_s=poll_s)


@asynccontextmanager
async def shelly(*, on: bool = True, name: str = "p1") -> AsyncIterator[Emulated]:
    """A device that boots `on` or off."""
    load = Load()
    switch = Switch(load, SwitchConfig(initial_state="on" if on else "off"))
    device = ShellyGen2(name, {0: switch}, host="127.0.0.1", port=0)
    await device.start()
    try:
        yield Emulated(device, load)
    finally:
        await device.stop()
