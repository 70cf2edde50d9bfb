"""An emulated power station in an emulated air, and drivers that reach it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from services.core.config.hardware import PowerStation
from services.simulator.devices.air import Air
from services.simulator.devices.bluetti import Bluetti
from services.simulator.devices.bluetti_registers import LAYOUTS, Layout, Registers

SERIAL = "2237000123456"
ADDRESS = "F0:00:00:00:00:01"


@dataclass
class Said:
    """What the power station measures."""

    status: dict[str, Any] = field(
        default_factory=lambda: {
            "soc_pct": 71.4, "ac_in_w": 410.2, "ac_out_w": 123.4, "dc_in_w": 50.0, "dc_out_w": 7.0, "ac_output_on": True, "eco_mode": False,
        }
    )  # fmt: skip

    def set_ac_output(self, on: bool) -> None:
        self.status["ac_output_on"] = on


@dataclass
class Emulated:
    air: Air
    device: Bluetti
    said: Said

    def station(self, **settings: Any) -> PowerStation:
        """The configuration that reaches it."""
        known = {
            "driver": "bluetti_ble",
            "address": f"hci:tcp:127.0.0.1:{self.air.port}/{self.device.name}",
            "timeout_s": 2.0,
            "poll_s": 0.2,
        }
        return PowerStation.model_validate(known | {"capacity_wh": 1152, "inverter_w": 1800, "charge_w": 700} | settings)


@asynccontextmanager
async def emulated_bluetti(
    model: str | Layout = "AC180", *, mtu: int = 247, make: Callable[..., Bluetti] = Bluetti
) -> AsyncIterator[Emulated]:
    """One of `model` that answers."""
    layout = model if isinstance(model, Layout) else LAYOUTS[model]
    said = Said()
    air = Air(host="127.0.0.1", port=0)
    await air.start()
    device = make(air, Registers(layout, lambda: said.status, said.set_ac_output), name=layout.name + SERIAL, address=ADDRESS, mtu=mtu)
    await device.start()
    try:
        yield Emulated(air, device, said)
    finally:
        await device.stop()
        await air.stop()
