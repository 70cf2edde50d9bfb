"""The Shelly driver over Bluetooth: bleak on a software radio to an emulated device, well and ill."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.shelly_ble import ShellyBle, connect
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent, NotCarriedOut
from services.simulator.devices.faults import Faults
from tests.support.waiting import wait_for
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


async def test_reads_the_meter() -> None:
    async with pair() as (_, driver):
        status = await away(driver.status)
    assert (status.on, status.power_w, status.voltage_v, status.energy_wh, status.timer_s) == (True, 120.0, 230.0, 42.5, None)


async def test_it_is_found_by_name_too() -> None:
    async with air() as ether, in_the_air(ether, name="cellar") as shelly, in_the_air(ether, on=False, mac="F0:00:00:00:00:02"):
        driver = ShellyBle(f"hci:tcp:127.0.0.1:{ether.port}/cellar", 0, TIMEOUT_S, time.monotonic)
        try:
            assert (await away(driver.status)).on
            assert shelly.device.connections == 1
        finally:
            await away(driver.close)


async def test_the_unsafe_state_carries_a_timer_that_really_flips_back() -> None:
    async with pair() as (shelly, driver):
        status = await away(partial(driver.set, on=False, timer_s=0.5))
        assert (status.on, status.power_w) == (False, 0.0)
        assert status.timer_s == pytest.approx(0.5, abs=0.1)
        await wait_for(lambda: shelly.load.closed, what="the device flips back")
        assert (await away(driver.status)).timer_s is None


async def test_the_safe_state_ends_the_timer() -> None:
    async with pair() as (shelly, driver):
        await away(partial(driver.set, on=False, timer_s=60.0))
        assert (await away(partial(driver.set, on=True, timer_s=None))).timer_s is None
        assert shelly.switch.timer_left_s is None


async def test_the_boot_state_is_written_only_when_it_differs() -> None:
    async with pair(on=False) as (shelly, driver):
        assert await away(partial(driver.ensure_boot_state, on=True))
        assert shelly.switch.config.initial_state == "on"
        assert not await away(partial(driver.ensure_boot_state, on=True))


async def test_the_link_is_kept_from_call_to_call_and_a_poll_and_a_command_share_it() -> None:
    async with pair() as (shelly, driver):
        await away(driver.status)
        results = await asyncio.gather(away(driver.status), away(partial(driver.set, on=False, timer_s=60.0)))
        assert not results[1].on
        assert (shelly.device.connections, shelly.air.adapters) == (1, 1)


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
    ids=["error frame", "nonsense", "silent", "not in the air", "half a frame", "too slow"],
)
async def test_every_fault_is_an_error_of_its_kind_and_the_next_call_works_again(faults: Faults, error: type[DeviceError]) -> None:
    async with pair() as (shelly, driver):
        await away(driver.status)
        await shelly.suffer(faults)
        for call in (driver.status, partial(driver.set, on=False, timer_s=60.0)):
            started = time.monotonic()
            with pytest.raises(error):
                await away(call)
            assert time.monotonic() - started < 6 * TIMEOUT_S
        await shelly.suffer(Faults())
        assert (await away(partial(driver.set, on=True, timer_s=None))).on
        assert shelly.air.adapters <= 1, "no adapter is left behind"


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


async def test_a_reboot_between_two_calls_costs_none_of_them() -> None:
    async with pair() as (shelly, driver):
        await away(partial(driver.set, on=False, timer_s=60.0))
        await shelly.device.reboot()
        await wait_for(lambda: shelly.device.connections == 0)
        status = await away(driver.status)
        assert (status.on, status.timer_s) == (True, None)


async def test_a_device_that_shows_another_state_than_was_set_is_caught_by_the_read_back() -> None:
    async with pair() as (shelly, driver):
        await shelly.suffer(Faults(wrong_state=True))
        with pytest.raises(NotCarriedOut, match="is on though off was set"):
            await away(partial(driver.set, on=False, timer_s=60.0))


async def test_a_channel_that_is_not_there_is_refused() -> None:
    async with pair() as (shelly, _):
        driver = ShellyBle(shelly.address, 1, TIMEOUT_S, time.monotonic)
        try:
            with pytest.raises(DeviceRefused, match="value 1 not found"):
                await away(driver.status)
        finally:
            await away(driver.close)


async def test_many_broken_links_leave_no_thread_file_or_adapter_behind() -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with pair(timeout_s=1.0) as (shelly, driver):
        await away(driver.status)
        await shelly.suffer(Faults(half=True))
        with pytest.raises(DeviceSilent):
            await away(driver.status)
        threads, files = threading.active_count(), open_files()
        for _ in range(20):
            with pytest.raises(DeviceSilent, match="broke off"):
                await away(driver.status)
        await wait_for(lambda: shelly.air.adapters <= 1 and open_files() <= files + 2)
        assert threading.active_count() <= threads + 1


async def test_closing_ends_a_call_under_way_hangs_up_and_leaves_no_thread() -> None:
    async with pair(timeout_s=5.0) as (shelly, driver):
        await away(driver.status)
        await shelly.suffer(Faults(silent=True))
        call = asyncio.create_task(away(driver.status))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await away(driver.close)
        with pytest.raises(DeviceSilent, match="closed"):
            await call
        assert time.monotonic() - started < 1.5
        await wait_for(lambda: shelly.device.connections == 0 and shelly.air.adapters == 0)
        await wait_for(lambda: not any(thread.name.startswith("shelly_ble") for thread in threading.enumerate()))


@pytest.mark.parametrize("address", ["", "http://192.168.1.20", "12:34", "hci:tcp:127.0.0.1/x", "hci:tcp:127.0.0.1:80"])
def test_an_address_that_cannot_be_used_is_said_before_anything_starts(address: str) -> None:
    with pytest.raises(ValueError, match="use a Bluetooth address such as"):
        ShellyBle(address, 0, 1.0, time.monotonic)


def test_a_password_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="not supported; use driver 'shelly_gen2'"):
        connect(RelayDevice(driver="shelly_ble", address="A0:DD:6C:4B:9C:36"), time.monotonic, "secret")
