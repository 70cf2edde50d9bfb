"""A thousand failed calls, in every way that a device can fail: the driver leaks nothing and works again as soon as the device does.

Each driver in a process of its own: what other tests let go of meanwhile would count as its. The Bluetti's are in test_bluetti_faults.
"""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from services.core.config.hardware import Ina260Sensor
from services.ina260_reader.drivers import remote
from services.ina260_reader.errors import ChipError
from services.ina260_reader.sensor import Ina260
from services.relay_bridge.errors import DeviceError
from services.relay_bridge.registry import connect
from services.simulator.devices.faults import Faults
from services.simulator.devices.ina260 import Direct, Ina260Chip
from services.simulator.devices.ina260_port import Ina260Port
from tests.support.leaks import FAILURES, Held, assert_works_again, failures, run_alone, threads_for
from tests.unit.relay_bridge.kinds import KINDS

WARM_UP = 2
"""Times in every way."""
LANES = 20
"""Drivers at a time, each with a device of its own."""
RELAY_FAULTS = (Faults(silent=True), Faults(half=True), Faults(nonsense=True), Faults(http_500=True), Faults(refuse=True))
"""The last one leaves no link to hold."""
CHIP_FAULTS = (Faults(silent=True), Faults(nack=True), Faults(wrong_identity=True), Faults(delay_s=0.5), Faults(refuse=True))
TIMEOUT_S = 0.15


@dataclass(frozen=True)
class Failing:
    """A driver and the device that it fails at."""

    call: Callable[[], object]
    close: Callable[[], None]
    suffer: Callable[[Faults], Awaitable[None]]


@asynccontextmanager
async def _relay(name: str, number: int) -> AsyncIterator[Failing]:
    kind = KINDS[name]
    async with kind.make(name=f"p{number}") as device:
        driver = connect(device.configured(TIMEOUT_S), time.monotonic, kind.password)
        yield Failing(driver.status, driver.close, device.suffer)


@asynccontextmanager
async def _chip(number: int) -> AsyncIterator[Failing]:
    del number
    remote.TIMEOUT_S = TIMEOUT_S
    port = Ina260Port(Ina260Chip(lambda: Direct(24.0, 5.0)), host="127.0.0.1", port=0)
    await port.start()
    driver = Ina260(Ina260Sensor(sensor="ina260", bus=f"tcp:127.0.0.1:{port.port}", poll_s=0.1))
    try:
        yield Failing(driver.read, driver.close, port.suffer)
    finally:
        await port.stop()


@dataclass(frozen=True)
class Victim:
    make: Callable[[int], AbstractAsyncContextManager[Failing]]
    error: type[Exception] = DeviceError
    faults: tuple[Faults, ...] = RELAY_FAULTS


VICTIMS = {name: Victim(partial(_relay, name)) for name in ("shelly_gen1", "shelly_gen2, digest", "shelly_ble", "kasa", "kasa, KLAP")}
VICTIMS["ina260"] = Victim(_chip, ChipError, CHIP_FAULTS)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", VICTIMS)
def test_a_thousand_failures_leave_no_task_thread_connection_or_memory_behind(name: str) -> None:
    run_alone(__name__, name, within_s=170)


async def fail_a_thousand_times(victim: Victim) -> None:
    """Raises AssertionError for anything that is left behind."""
    threads_for(LANES)
    # All of them at once, so that none is begun only later and counts as left behind.
    together = threading.Barrier(LANES)
    await asyncio.gather(*(asyncio.to_thread(together.wait, 30) for _ in range(LANES)))
    async with AsyncExitStack() as stack:
        lanes = [await stack.enter_async_context(victim.make(number)) for number in range(LANES)]
        unused = Held.now()
        for lane in lanes:
            stack.push_async_callback(asyncio.to_thread, lane.close)

        async def all_fail(times: int) -> int:
            failed = 0
            for faults in victim.faults:
                await asyncio.gather(*(lane.suffer(faults) for lane in lanes))
                calls = (asyncio.to_thread(failures, lane.call, times, victim.error) for lane in lanes)
                failed += sum(await asyncio.gather(*calls))
            return failed

        await all_fail(WARM_UP)
        before = Held.now()
        assert await all_fail(FAILURES // (len(victim.faults) * LANES)) == FAILURES
        Held.now().assert_no_more_than(before)
        await asyncio.gather(*(lane.suffer(Faults()) for lane in lanes))
        for lane in lanes:
            await asyncio.to_thread(assert_works_again, lane.call, victim.error)
            await asyncio.to_thread(lane.close)
        async with asyncio.timeout(30.0):
            while (held := Held.now()).files > unused.files or held.threads > unused.threads:
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(fail_a_thousand_times(VICTIMS[sys.argv[1]]))
