"""An emulated Kasa plug on a free port, wired to a load that draws power whenever the contact is closed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from services.core.config.hardware import RelayDevice
from services.simulator.devices.faults import Faults
from services.simulator.devices.kasa import KasaPlug
from services.simulator.devices.kasa_klap import KasaKlap
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from tests.unit.relay_bridge.emulated import Load


@dataclass(frozen=True)
class EmulatedKasa:
    device: KasaPlug | KasaKlap
    load: Load

    @property
    def switch(self) -> Switch:
        return self.device.switches[0]

    @property
    def address(self) -> str:
        return f"kasa://127.0.0.1:{self.device.port}"

    @property
    def left_s(self) -> float | None:
        """What is left of its countdown."""
        return self.device.iot.countdown.left_s

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` from now on."""
        self.switch.suffer(faults)
        await self.device.suffer(faults)

    def configured(self, timeout_s: float, poll_s: float = 0.1, deadman: Literal["device", "none"] = "device") -> RelayDevice:
        return RelayDevice(driver="kasa", address=self.address, timeout_s=timeout_s, poll_s=poll_s, deadman=deadman)


@asynccontextmanager
async def kasa_plug(*, on: bool = True, name: str = "p1", metered: bool = True, account: str | None = None) -> AsyncIterator[EmulatedKasa]:
    """A plug that is `on` or off; with an `account` it wants KLAP."""
    load = Load()
    switch = Switch(load, SwitchConfig(initial_state="off"))
    device: KasaPlug | KasaKlap = KasaPlug(name, {0: switch}, host="127.0.0.1", port=0, metered=metered)
    if account is not None:
        device = KasaKlap(name, {0: switch}, account=account, host="127.0.0.1", port=0)
    await device.start()
    switch.put(on=on, source="test", toggle_after_s=None)
    try:
        yield EmulatedKasa(device, load)
    finally:
        await device.stop()
