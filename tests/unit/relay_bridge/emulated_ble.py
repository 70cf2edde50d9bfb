"""An emulated Shelly in an emulated air, wired to a load that draws power whenever the contact is closed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.core.config.hardware import RelayDevice
from services.simulator.devices.air import Air
from services.simulator.devices.faults import Faults
from services.simulator.devices.shelly_ble import ShellyBle
from services.simulator.devices.shelly_gen2 import ShellyGen2
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from tests.unit.relay_bridge.emulated import Load


@dataclass(frozen=True)
class EmulatedBle:
    device: ShellyBle
    load: Load
    air: Air
    address: str
    """As in a station file."""

    @property
    def switch(self) -> Switch:
        return self.device.switches[0]

    @property
    def left_s(self) -> float | None:
        """What is left of its timer."""
        return self.switch.timer_left_s

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` from now on."""
        self.switch.suffer(faults)
        await self.device.suffer(faults)

    def configured(self, timeout_s: float, poll_s: float = 0.1) -> RelayDevice:
        return RelayDevice(driver="shelly_ble", address=self.address, timeout_s=timeout_s, poll_s=poll_s)


@asynccontextmanager
async def air() -> AsyncIterator[Air]:
    """An air on a free port."""
    ether = Air(host="127.0.0.1", port=0)
    await ether.start()
    try:
        yield ether
    finally:
        await ether.stop()


@asynccontextmanager
async def in_the_air(ether: Air, *, on: bool = True, name: str = "p1", mac: str = "F0:00:00:00:00:01") -> AsyncIterator[EmulatedBle]:
    """A device that boots `on` or off."""
    load = Load()
    switch = Switch(load, SwitchConfig(initial_state="on" if on else "off"))
    device = ShellyBle(ether, ShellyGen2(name, {0: switch}, host="127.0.0.1", port=0), address=mac)
    await device.start()
    try:
        yield EmulatedBle(device, load, ether, f"hci:tcp:127.0.0.1:{ether.port}/{mac}")
    finally:
        await device.stop()
