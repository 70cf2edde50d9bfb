"""Every fault of every Shelly while its relay is held unsafe, and a thousand failures; a table is printed with `-s`."""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.relay_bridge.drivers import shelly_push
from services.relay_bridge.errors import DeviceError
from services.relay_bridge.registry import connect
from services.simulator.devices.faults import Faults
from tests.support.brokers import TestBroker
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import PASSWORD, shelly, two_devices, var_with_secret
from tests.unit.relay_bridge.running import House, bridge, house_of

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)

POLL_S = 0.4
TIMEOUT_S = 0.3
KINDS = {"gen1": 1, "gen2": 2}
FAULTS: dict[str, tuple[Faults, dict[str, object]]] = {
    "silent": (Faults(silent=True), {"on": None, "fault": "not answering since 20"}),
    "refused connection": (Faults(refuse=True), {"on": None, "fault": "not answering since 20"}),
    "too slow": (Faults(delay_s=3.0), {"on": None, "fault": "not answering since 20"}),
    "half a frame": (Faults(half=True), {"on": None, "fault": "not answering since 20"}),
    "HTTP 500": (Faults(http_500=True), {"on": None, "fault": "not answering usably since 20"}),
    "nonsense": (Faults(nonsense=True), {"on": None, "fault": "not answering usably since 20"}),
    "says the opposite": (Faults(wrong_state=True), {"fault": "found on though off was set"}),
    "welded contact": (Faults(welded=True), {"fault": "welded contact"}),
}


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[list[tuple[str, str, str]]]:
    """Rows of what happened, printed at the end."""
    rows: list[tuple[str, str, str]] = []
    yield rows
    sys.stdout.write("\n".join(["", f"{'device':<8}{'fault':<20} what the bridge did", *(f"{d:<8}{f:<20} {w}" for d, f, w in rows), ""]))


@pytest.fixture
async def served(broker: TestBroker, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    var = var_with_secret(tmp_path, "relays", PASSWORD)
    generation: int = KINDS[request.param]
    configured: dict[str, Any] = {"poll_s": POLL_S, "secret": "relays", "push": generation > 1}
    async with (
        two_devices(generation=generation, password=PASSWORD) as (p1, p2),
        house_of(p1, p2, broker, var, TIMEOUT_S, **configured) as found,
        bridge(found, device_timer_s=20.0),
    ):
        yield found


async def seconds(until: Awaitable[object]) -> float:
    started = time.monotonic()
    await until
    return time.monotonic() - started


@pytest.mark.parametrize("served", KINDS, indirect=True)
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_mid_event_is_told_within_two_polls_and_over_when_the_device_is_well(
    served: House, table: list[tuple[str, str, str]], name: str, request: pytest.FixtureRequest
) -> None:
    faults, told = FAULTS[name]
    wish = served.command("p1", on=False)
    await served.state("p1", on=False, command_id=wish, fault=None)
    await served.p1.suffer(faults)
    told_s = await seconds(_told(served, told))
    # Two polls that fail, each at the end of its time-out, and the fraction of a period until the first.
    assert told_s < 3 * POLL_S + 2 * TIMEOUT_S
    before = len(served.readings("p2"))
    await wait_for(lambda: len(served.readings("p2")) > before, what="the neighbour is read all the same")
    await served.p1.suffer(Faults())
    served.command("p1", on=False, command_id=wish)
    well_s = await seconds(served.state("p1", on=False, fault=None, within_s=10.0))
    assert not served.p1.load.closed
    table.append((request.node.callspec.params["served"], name, f"told after {told_s:.2f} s, well {well_s:.2f} s after the device"))


async def _told(served: House, told: dict[str, object]) -> None:
    """Told as a state, or as a report where the bridge has put it right before the next state."""
    fault = str(told["fault"])

    def heard() -> bool:
        state = served.states("p1")[-1]
        stands = (state["fault"] or "").startswith(fault) and ("on" not in told or state["on"] is None)
        return stands or any(fault in error["message"] for error in served.errors())

    await wait_for(heard, what=f"{told}; last: {served.states('p1')[-1]}; errors: {served.errors()[-3:]}")


@pytest.mark.parametrize("served", KINDS, indirect=True)
async def test_a_reboot_in_mid_event_boots_safe_and_the_wish_is_carried_out_again(
    served: House, table: list[tuple[str, str, str]], request: pytest.FixtureRequest
) -> None:
    wish = served.command("p1", on=False)
    await served.state("p1", on=False, command_id=wish)
    await served.p1.device.reboot()
    assert served.p1.load.closed, "the boot state is the safe one"
    again_s = await seconds(wait_for(lambda: not served.p1.load.closed, what="the wish again"))
    table.append((request.node.callspec.params["served"], "reboot", f"safe at once, the wish again after {again_s:.2f} s"))


@pytest.mark.parametrize("served", ["gen2"], indirect=True)
async def test_a_thousand_lost_lines_leave_nothing_behind(
    served: House, table: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand times, the line to a device that tells its changes is lost."""
    monkeypatch.setattr(shelly_push, "FIRST_WAIT_S", 0.002)
    monkeypatch.setattr(shelly_push, "LONGEST_WAIT_S", 0.01)
    process = psutil.Process()
    device = served.p1.gen2

    async def fail(times: int) -> None:
        for _ in range(times):
            await wait_for(lambda: device.sockets.open, what="listening again")
            await device.drop_connections()

    await fail(100)
    gc.collect()
    tasks, files, threads, memory = len(asyncio.all_tasks()), process.num_fds(), threading.active_count(), process.memory_info().rss
    await fail(1000)
    await served.reads_again("p1")
    gc.collect()
    await wait_for(lambda: len(asyncio.all_tasks()) <= tasks + 2, what="no tasks left behind")
    await wait_for(lambda: process.num_fds() <= files + 4, what="connections closed")
    assert threading.active_count() <= threads + 1
    grown_mb = (process.memory_info().rss - memory) / 1e6
    assert grown_mb < 10
    table.append(("gen2", "1,000 lost lines", f"tasks, threads and files as before, memory {grown_mb:+.1f} MB"))


@pytest.mark.parametrize("generation", [1, 2])
async def test_a_thousand_failed_calls_leave_nothing_behind(broker: TestBroker, table: list[tuple[str, str, str]], generation: int) -> None:
    process = psutil.Process()
    kinds = [Faults(refuse=True), Faults(half=True), Faults(http_500=True), Faults(nonsense=True)]
    async with shelly(generation=generation, password=PASSWORD) as emulated:
        driver = connect(emulated.configured(TIMEOUT_S), time.monotonic, PASSWORD)

        def fail(times: int) -> int:
            failed = 0
            for _ in range(times):
                try:
                    driver.status()
                except DeviceError:
                    failed += 1
            return failed

        async def all_kinds(times: int) -> int:
            failed = 0
            for faults in kinds:
                await emulated.suffer(faults)
                failed += await asyncio.to_thread(fail, times)
            await emulated.suffer(Faults())
            return failed

        assert await all_kinds(10) == 40
        gc.collect()
        files, threads, memory = process.num_fds(), threading.active_count(), process.memory_info().rss
        assert await all_kinds(250) == 1000
        assert (await asyncio.to_thread(driver.status)).on
        gc.collect()
        assert process.num_fds() <= files + 3
        # asyncio's own pool may have grown by the threads that these calls went through.
        assert threading.active_count() <= threads + 4
        grown_mb = (process.memory_info().rss - memory) / 1e6
        assert grown_mb < 10
        driver.close()
    table.append((f"gen{generation}", "1,000 failed calls", f"threads and files as before, memory {grown_mb:+.1f} MB"))
