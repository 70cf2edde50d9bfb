"""What is particular to the Shelly driver over Bluetooth: bleak on a software radio to an emulated device."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import pytest

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.shelly_ble import ShellyBle, connect
from services.relay_bridge.errors import DeviceRefused, DeviceSilent
from services.simulator.devices.faults import Faults
from tests.unit.relay_bridge.emulated_ble import EmulatedBle, air, in_the_air

T = TypeVar("T")
TIMEOUT_S = 0.4


@asynccontextmanager
async def pair(*, on: bool = True, timeout_s: float = TIMEOUT_S) -> AsyncIterator[tuple[EmulatedBle, ShellyBle]]:
    async with air() as ether, in_the_air(ether, on=on) as shelly:
        driver = connect(shelly.configured(timeout_s), time.monotonic)
        try:
            yield shelly, driver
        finally:
            await away(driver.close)


async def away(call: Callable[[], T]) -> T:
    """Off the loop that the emulated device runs on."""
    return await asyncio.to_thread(call)


async def test_it_is_found_by_name_too() -> None:
    async with air() as ether, in_the_air(ether, name="cellar") as shelly, in_the_air(ether, on=False, mac="F0:00:00:00:00:02"):
        driver = ShellyBle(f"hci:tcp:127.0.0.1:{ether.port}/cellar", 0, TIMEOUT_S, time.monotonic)
        try:
            assert (await away(driver.status)).on
            assert shelly.device.connections == 1
        finally:
            await away(driver.close)


async def test_the_link_is_kept_from_call_to_call_and_a_poll_and_a_command_share_it() -> None:
    async with pair() as (shelly, driver):
        await away(driver.status)
        results = await asyncio.gather(away(driver.status), away(partial(driver.set, on=False, timer_s=60.0)))
        assert not results[1].on
        assert (shelly.device.connections, shelly.air.adapters) == (1, 1)


async def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_ones() -> None:
    async with pair() as (shelly, driver):
        await away(driver.status)
        await shelly.suffer(Faults(delay_s=1.5 * TIMEOUT_S))
        with pytest.raises(DeviceSilent, match="did not answer"):
            await away(driver.status)
        await shelly.suffer(Faults())
        until = time.monotonic() + TIMEOUT_S
        while time.monotonic() < until:
            assert (await away(driver.status)).on


async def test_a_channel_that_is_not_there_is_refused() -> None:
    async with pair() as (shelly, _):
        driver = ShellyBle(shelly.address, 1, TIMEOUT_S, time.monotonic)
        try:
            with pytest.raises(DeviceRefused, match="value 1 not found"):
                await away(driver.status)
        finally:
            await away(driver.close)


@pytest.mark.parametrize("address", ["", "http://192.168.1.20", "12:34", "hci:tcp:127.0.0.1/x", "hci:tcp:127.0.0.1:80"])
def test_an_address_that_cannot_be_used_is_said_before_anything_starts(address: str) -> None:
    with pytest.raises(ValueError, match="use a Bluetooth address such as"):
        ShellyBle(address, 0, 1.0, time.monotonic)


def test_a_password_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="not supported; use driver 'shelly_gen2'"):
        connect(RelayDevice(driver="shelly_ble", address="A0:DD:6C:4B:9C:36"), time.monotonic, "secret")
