"""What the relay bridge does when a relay, the broker or the bridge's company fails. What devices can have is in test_device_faults."""

import asyncio
import statistics
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from services.simulator.devices.faults import Faults
from tests.support.brokers import TestBroker
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.kinds import lose_timers
from tests.unit.relay_bridge.running import TIMEOUT_S, House, bridge, house

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)


@pytest.fixture
async def served(broker: TestBroker, tmp_path: Path) -> AsyncIterator[House]:
    async with house(broker, tmp_path) as devices, bridge(devices):
        yield devices


async def seconds(until: Awaitable[object]) -> float:
    started = time.monotonic()
    await until
    return time.monotonic() - started


async def test_a_silent_p1_delays_neither_p2s_commands_nor_its_readings(served: House) -> None:
    await served.p1.suffer(Faults(silent=True))
    served.command("p1", on=False)
    await served.state("p1", on=None)
    took_s = []
    for on in (True, False) * 5:
        served.command("p2", on=on)
        took_s.append(await seconds(wait_for(partial(_stands, served, on))))
    before = len(served.readings("p2"))
    await wait_for(lambda: len(served.readings("p2")) - before >= 3, what="three polls of P2, though P1 is silent")
    assert statistics.median(took_s) < TIMEOUT_S / 2, "far below P1's time-out"


def _stands(served: House, on: bool) -> bool:
    return served.p2.load.closed == on


async def test_a_poll_in_flight_does_not_hold_up_a_command(broker: TestBroker, tmp_path: Path) -> None:
    """The device answers late, but does at once what it is asked."""
    async with house(broker, tmp_path, timeout_s=3.0) as devices, bridge(devices):
        await devices.p1.suffer(Faults(delay_s=1.5))
        await devices.reads_again("p2")
        await devices.reads_again("p2")
        devices.command("p1", on=False)
        assert await seconds(wait_for(lambda: not devices.p1.load.closed)) < 0.7


async def test_a_command_to_a_silent_relay_is_tried_again_and_done_when_it_answers(served: House) -> None:
    await served.p1.suffer(Faults(refuse=True))
    wish = served.command("p1", on=False)
    await served.state("p1", on=None)
    await served.p1.suffer(Faults())
    assert await seconds(served.state("p1", on=False, command_id=wish)) < 2


async def test_a_release_that_falls_due_while_the_relay_is_silent_is_made_up_for(served: House) -> None:
    served.command("p2", on=True, hold_s=0.5)
    await served.state("p2", on=True)
    await served.p2.suffer(Faults(refuse=True))
    await served.state("p2", on=None)
    await asyncio.sleep(0.5)
    await served.p2.suffer(Faults())
    await served.state("p2", on=False, fault=None)


async def test_cut_off_until_the_devices_timer_fired_it_does_not_open_again_without_a_new_wish(served: House) -> None:
    wish = served.command("p1", on=False)
    await served.state("p1", on=False, command_id=wish)
    await served.p1.suffer(Faults(refuse=True))
    await wait_for(lambda: served.p1.load.closed, what="the device's own timer")
    served.command("p1", on=False, command_id=wish)
    await served.p1.suffer(Faults())
    await served.state("p1", on=True, fault="device timer fired", command_id=None)
    served.command("p1", on=False, command_id=wish)
    await served.reads_again("p1")
    assert served.p1.load.closed
    served.command("p1", on=False)
    await served.state("p1", on=False, fault=None)


async def test_a_relay_that_says_the_opposite_is_a_fault_and_not_believed(served: House) -> None:
    await served.p1.suffer(Faults(wrong_state=True))
    served.command("p1", on=False)
    await served.state("p1", on=True, command_id=None, fault="is on though off was set")


async def test_a_relay_that_loses_its_timer_is_made_safe(served: House) -> None:
    lose_timers(served.p1)
    served.command("p1", on=False)
    await served.state("p1", on=True, fault="the device does not run its dead-man timer")
    assert served.p1.load.closed


async def test_while_the_broker_is_away_the_bridge_still_lets_go(served: House, broker: TestBroker) -> None:
    served.command("p1", on=False, hold_s=1.0)
    await served.state("p1", on=False)
    await asyncio.to_thread(broker.stop)
    await wait_for(lambda: served.p1.load.closed, what="the bridge lets go")
    await asyncio.to_thread(broker.start)


async def test_many_failures_leave_no_threads_and_no_connections_behind(served: House, open_files: Callable[[], int]) -> None:
    await served.reads_again("p1")
    threads, files = threading.active_count(), open_files()
    for faults in (Faults(refuse=True), Faults(http_500=True), Faults(half=True), Faults(nonsense=True), Faults(silent=True)) * 2:
        await served.p1.suffer(faults)
        served.command("p1", on=False)
        await served.state("p1", on=None)
        await served.p1.suffer(Faults())
        await served.state("p1", on=False)
        served.command("p1", on=True)
        await served.state("p1", on=True)
    assert threading.active_count() <= threads + 2, "the lanes' own threads, started with their first call"
    await wait_for(lambda: open_files() <= files + 4, what="connections closed")


@pytest.fixture
def open_files() -> Callable[[], int]:
    """How many files and sockets this process has open."""
    return lambda: len(list(Path("/proc/self/fd").iterdir()))
