"""Every relay driver with the emulated device that it is proved on."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from services.core.config.hardware import RelayDevice
from services.simulator.devices.faults import Faults
from services.simulator.devices.shelly_switch import Switch
from tests.unit.relay_bridge.emulated import PASSWORD, Load, shelly, two_channels
from tests.unit.relay_bridge.emulated_ble import EmulatedBle, air, in_the_air
from tests.unit.relay_bridge.emulated_kasa import EmulatedKasa, kasa_plug

ACCOUNT = "someone@example.org:pass:word"


class Device(Protocol):
    """What can happen to any of them."""

    async def reboot(self) -> None: ...

    async def power(self, on: bool) -> None: ...


class AnyEmulated(Protocol):
    """One relay and the load behind it, whatever its make."""

    @property
    def device(self) -> Device: ...

    @property
    def load(self) -> Load: ...

    @property
    def switch(self) -> Switch: ...

    @property
    def left_s(self) -> float | None: ...

    async def suffer(self, faults: Faults) -> None: ...

    def configured(self, timeout_s: float, poll_s: float = 0.1) -> RelayDevice: ...


class Make(Protocol):
    """A device that boots `on` or off."""

    def __call__(self, *, on: bool = True, name: str = "p1") -> AbstractAsyncContextManager[AnyEmulated]: ...


@dataclass(frozen=True)
class Kind:
    """What one driver and device can do."""

    make: Make
    password: str | None = None
    shortest_timer_s: float = 0.3
    voltage_v: float | None = 230.0
    energy_wh: float = 42.5
    """As the device tells 42.5 Wh."""
    has_boot_state: bool = True
    """Whether it can be told what to be after a power cut; else it returns to what it was."""
    timeout_s: float = 0.3


@asynccontextmanager
async def _ble(*, on: bool = True, name: str = "p1") -> AsyncIterator[EmulatedBle]:
    async with air() as ether, in_the_air(ether, on=on, name=name) as device:
        yield device


@asynccontextmanager
async def _second_channel(generation: int, password: str | None = None, *, on: bool = True, name: str = "p1") -> AsyncIterator[AnyEmulated]:
    """Channel 1 of a device; that nothing happens at channel 0 is checked at the end."""
    del name
    async with two_channels(generation=generation, password=password) as (neighbour, second):
        second.switch.configure({"initial_state": "on" if on else "off"})
        second.switch.boot()
        before = list(neighbour.load.moves)
        yield second
        # It boots on with the device, which it already was.
        assert (neighbour.load.moves, neighbour.left_s) == (before, None), "the other channel is none of its business"


KINDS: dict[str, Kind] = {
    "shelly_gen1": Kind(partial(shelly, generation=1, password=PASSWORD), PASSWORD, shortest_timer_s=1.0, voltage_v=None),
    "shelly_gen1, channel 1": Kind(partial(_second_channel, 1), shortest_timer_s=1.0, voltage_v=None),
    "shelly_gen2": Kind(shelly),
    "shelly_gen2, digest": Kind(partial(shelly, password=PASSWORD), PASSWORD),
    "shelly_gen2, channel 1": Kind(partial(_second_channel, 2)),
    "shelly_gen2, channel 1, digest": Kind(partial(_second_channel, 2, PASSWORD), PASSWORD),
    "shelly_ble": Kind(_ble, timeout_s=0.4),
    "kasa": Kind(kasa_plug, shortest_timer_s=1.0, energy_wh=42.0, has_boot_state=False),
    "kasa, KLAP": Kind(
        partial(kasa_plug, account=ACCOUNT), ACCOUNT, shortest_timer_s=1.0, energy_wh=42.0, has_boot_state=False, timeout_s=0.5
    ),
}


def lose_timers(emulated: AnyEmulated) -> None:
    """From now on the device acknowledges timers, and runs none."""
    if isinstance(emulated, EmulatedKasa):
        emulated.device.iot.countdown._take = lambda arguments, identity: {"id": identity, "err_code": 0}  # type: ignore[method-assign]
        return
    timeless = emulated.switch.put

    def put(*, on: bool, source: str, toggle_after_s: float | None) -> bool:
        del toggle_after_s
        return timeless(on=on, source=source, toggle_after_s=None)

    emulated.switch.put = put  # type: ignore[method-assign]
