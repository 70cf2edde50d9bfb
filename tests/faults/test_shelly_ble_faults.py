"""A Shelly that fails over Bluetooth a thousand times: the driver leaks nothing and works again as soon as the device does."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from services.relay_bridge.drivers.shelly_ble import connect
from services.relay_bridge.errors import DeviceError
from services.simulator.devices.faults import Faults
from tests.support.leaks import FAILURES, Held, assert_works_again, failures, run_alone, threads_for
from tests.unit.relay_bridge.emulated_ble import air, in_the_air

WARM_UP = 2
"""Times in every way."""
LANES = 20
"""Drivers at a time, each with a device and an air of its own."""
KINDS = (Faults(silent=True), Faults(half=True), Faults(nonsense=True), Faults(http_500=True), Faults(refuse=True))
"""The last one leaves no link to hold."""


@pytest.mark.timeout(180)
def test_a_thousand_failures_leave_no_task_thread_connection_or_memory_behind() -> None:
    run_alone(__name__, within_s=170)


async def fail_a_thousand_times() -> None:
    """Raises AssertionError for anything that is left behind."""
    threads_for(LANES)
    async with AsyncExitStack() as stack:
        devices = [
            await stack.enter_async_context(in_the_air(await stack.enter_async_context(air()), name=f"p{lane}")) for lane in range(LANES)
        ]
        drivers = [connect(device.configured(timeout_s=0.15), time.monotonic) for device in devices]
        for driver in drivers:
            stack.push_async_callback(asyncio.to_thread, driver.close)

        async def all_fail(times: int) -> int:
            failed = 0
            for faults in KINDS:
                await asyncio.gather(*(device.suffer(faults) for device in devices))
                calls = (asyncio.to_thread(failures, driver.status, times, DeviceError) for driver in drivers)
                failed += sum(await asyncio.gather(*calls))
            return failed

        await all_fail(WARM_UP)
        before = Held.now()
        assert await all_fail(FAILURES // (len(KINDS) * LANES)) == FAILURES
        Held.now().assert_no_more_than(before)
        await asyncio.gather(*(device.suffer(Faults()) for device in devices))
        for driver in drivers:
            await asyncio.to_thread(assert_works_again, driver.status, DeviceError)
            await asyncio.to_thread(driver.close)
        async with asyncio.timeout(5.0):
            while any(device.air.adapters for device in devices):
                await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(fail_a_thousand_times())
