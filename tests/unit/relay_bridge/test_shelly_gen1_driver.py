"""The driver for the first generation over real HTTP to an emulated device, well and ill."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import pytest

from services.relay_bridge.drivers.shelly_gen1 import ShellyGen1, connect
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent, NotCarriedOut
from services.simulator.devices.faults import Faults
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import Emulated, shelly, two_channels

T = TypeVar("T")
TIMEOUT_S = 0.3


@asynccontextmanager
async def pair(*, on: bool = True) -> AsyncIterator[tuple[Emulated, ShellyGen1]]:
    async with shelly(on=on, generation=1) as emulated:
        driver = connect(emulated.configured(TIMEOUT_S), time.monotonic)
        try:
            yield emulated, driver
        finally:
            driver.close()


async def away(call: Callable[[], T]) -> T:
    return await asyncio.to_thread(call)


async def test_reads_the_meter_whose_counter_is_in_watt_minutes() -> None:
    async with pair() as (_, driver):
        status = await away(driver.status)
    assert (status.on, status.power_w, status.energy_wh, status.timer_s) == (True, 120.0, 42.5, None)
    assert (status.voltage_v, status.current_a) == (None, None), "a 1PM does not tell them"


async def test_the_unsafe_state_carries_a_timer_in_whole_seconds_that_really_flips_back() -> None:
    async with pair() as (emulated, driver):
        started = time.monotonic()
        status = await away(partial(driver.set, on=False, timer_s=0.6))
        assert (status.on, status.power_w) == (False, 0.0)
        assert status.timer_s is not None
        assert not emulated.load.closed
        await wait_for(lambda: emulated.load.closed, what="the device flips back")
        assert time.monotonic() - started == pytest.approx(1.0, abs=0.4)
        assert (await away(driver.status)).timer_s is None


async def test_setting_again_starts_the_timer_anew_and_the_safe_state_cancels_it() -> None:
    async with pair() as (emulated, driver):
        await away(partial(driver.set, on=False, timer_s=30.0))
        await away(partial(driver.set, on=False, timer_s=60.0))
        assert emulated.switch.timer_left_s == pytest.approx(60, abs=1)
        assert (await away(partial(driver.set, on=True, timer_s=None))).timer_s is None
        assert emulated.switch.timer_left_s is None


async def test_the_boot_state_is_written_only_when_it_differs() -> None:
    async with pair(on=False) as (emulated, driver):
        assert await away(partial(driver.ensure_boot_state, on=True))
        assert emulated.switch.config.initial_state == "on"
        assert not await away(partial(driver.ensure_boot_state, on=True))


async def test_two_channels() -> None:
    async with two_channels(generation=1) as (p1, p2):
        driver = connect(p2.configured(TIMEOUT_S), time.monotonic)
        assert (await away(partial(driver.set, on=True, timer_s=30.0))).on
        assert (p1.load.closed, p2.load.closed) == (True, True)
        assert p1.switch.timer_left_s is None
        driver.close()


async def test_a_channel_that_is_not_there_is_said_so() -> None:
    async with shelly(generation=1) as emulated:
        driver = ShellyGen1(emulated.address, 1, TIMEOUT_S)
        with pytest.raises(BadReply, match="one for channel 1"):
            await away(driver.status)
        with pytest.raises(DeviceRefused, match="HTTP 404 to /relay/1"):
            await away(partial(driver.set, on=False, timer_s=None))
        driver.close()


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(http_500=True), DeviceRefused),
        (Faults(nonsense=True), BadReply),
        (Faults(silent=True), DeviceSilent),
        (Faults(refuse=True), DeviceSilent),
        (Faults(half=True), DeviceSilent),
        (Faults(delay_s=5), DeviceSilent),
    ],
    ids=["500", "nonsense", "silent", "refused connection", "half an answer", "too slow"],
)
async def test_every_fault_is_an_error_of_its_kind_and_the_next_call_works_again(faults: Faults, error: type[DeviceError]) -> None:
    async with pair() as (emulated, driver):
        await away(driver.status)
        await emulated.suffer(faults)
        for call in (driver.status, partial(driver.set, on=False, timer_s=60.0), partial(driver.ensure_boot_state, on=True)):
            started = time.monotonic()
            with pytest.raises(error):
                await away(call)
            assert time.monotonic() - started < 4 * TIMEOUT_S
        await emulated.suffer(Faults())
        assert (await away(partial(driver.set, on=True, timer_s=None))).on


async def test_a_device_that_shows_another_state_than_was_set_is_caught_by_the_read_back() -> None:
    async with pair() as (emulated, driver):
        await emulated.suffer(Faults(wrong_state=True))
        with pytest.raises(NotCarriedOut, match="is on though off was set"):
            await away(partial(driver.set, on=False, timer_s=60.0))


async def test_a_welded_contact_shows_in_the_power() -> None:
    async with pair() as (emulated, driver):
        await emulated.suffer(Faults(welded=True))
        status = await away(partial(driver.set, on=False, timer_s=60.0))
        assert (status.on, status.power_w) == (False, 120.0)
