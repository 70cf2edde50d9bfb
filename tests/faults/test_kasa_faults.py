"""What the relay bridge does when a Kasa plug fails; a table of it is printed with `-s`."""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import pytest

from services.relay_bridge.drivers.kasa import connect
from services.relay_bridge.errors import DeviceSilent
from services.simulator.devices.faults import Faults
from tests.support.brokers import TestBroker
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated_kasa import kasa_plug
from tests.unit.relay_bridge.running import House, bridge, house_of

broker_is_mosquitto = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
FAILURES = 1000


@pytest.fixture
async def served(broker: TestBroker, tmp_path: Path) -> AsyncIterator[House]:
    async with (
        kasa_plug(on=True, name="p1") as p1,
        kasa_plug(on=False, name="p2") as p2,
        house_of(p1, p2, broker, tmp_path) as devices,
        bridge(devices),
    ):
        yield devices


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[list[tuple[str, str]]]:
    """Rows of what happened, printed at the end."""
    rows: list[tuple[str, str]] = []
    yield rows
    sys.stdout.write(
        "\n".join(["", f"{'fault of a Kasa plug':<22} what the bridge did", *(f"{name:<22} {what}" for name, what in rows), ""])
    )


async def seconds(until: Awaitable[object]) -> float:
    started = time.monotonic()
    await until
    return time.monotonic() - started


@broker_is_mosquitto
@pytest.mark.parametrize(
    ("name", "faults", "fault"),
    [
        ("silent", Faults(silent=True), "not answering since 20"),
        ("refused connection", Faults(refuse=True), "not answering since 20"),
        ("error codes", Faults(http_500=True), "not answering usably since 20"),
        ("nonsense", Faults(nonsense=True), "not answering usably since 20"),
        ("half a frame", Faults(half=True), "not answering since 20"),
        ("too slow", Faults(delay_s=3), "not answering since 20"),
    ],
)
async def test_a_sick_plug_is_unknown_says_why_and_recovers_by_itself(
    served: House, table: list[tuple[str, str]], name: str, faults: Faults, fault: str
) -> None:
    await served.p1.suffer(faults)
    noticed_s = await seconds(served.state("p1", on=None, fault=fault))
    heard = len(served.readings("p1"))
    await served.reads_again("p2")
    assert len(served.readings("p1")) == heard, "no reading is made up"
    await served.p1.suffer(Faults())
    back_s = await seconds(served.state("p1", on=True, fault=None))
    table.append((name, f"unknown after {noticed_s:.2f} s, back {back_s:.2f} s after recovery"))


@broker_is_mosquitto
async def test_a_reboot_in_mid_event_loses_the_countdown_and_gets_it_back(served: House, table: list[tuple[str, str]]) -> None:
    """The plug comes back as it was, off and without its rule: the next poll sees it."""
    served.command("p1", on=False, hold_s=10)
    await served.state("p1", on=False)
    await served.p1.device.reboot()
    took_s = await seconds(wait_for(lambda: served.p1.left_s is not None, what="a countdown again"))  # type: ignore[attr-defined]
    await served.state("p1", on=False, fault=None)
    table.append(("reboot", f"its countdown ran again after {took_s:.2f} s"))


@broker_is_mosquitto
async def test_a_plug_whose_countdown_does_nothing_is_made_safe(served: House, table: list[tuple[str, str]]) -> None:
    served.p1.device.iot.countdown._take = lambda _, identity: {"id": identity, "err_code": 0}  # type: ignore[attr-defined]
    served.command("p1", on=False)
    await served.state("p1", on=True, fault="the device does not run its dead-man timer")
    assert served.p1.load.closed
    table.append(("no countdown", "not left off without one: back on, and said so"))


@broker_is_mosquitto
async def test_a_welded_contact_and_a_lying_state_are_announced(served: House, table: list[tuple[str, str]]) -> None:
    await served.p1.suffer(Faults(welded=True))
    served.command("p1", on=False)
    await served.state("p1", on=False, fault="welded contact")
    await served.p1.suffer(Faults(wrong_state=True))
    await served.state("p1", on=True, command_id=None)
    table.append(("welded, lying", "a fault in words, and not believed"))


async def test_a_thousand_failures_leave_no_thread_connection_or_task_behind() -> None:
    async with kasa_plug() as plug:
        driver = connect(plug.configured(0.5), time.monotonic)
        await asyncio.to_thread(driver.status)
        await plug.suffer(Faults(refuse=True))
        with pytest.raises(DeviceSilent):
            await asyncio.to_thread(driver.status)
        threads, files, tasks = threading.active_count(), open_files(), tasks_alive()

        def fail() -> None:
            for _ in range(FAILURES):
                with pytest.raises(DeviceSilent):
                    driver.status()

        await asyncio.to_thread(fail)
        assert threading.active_count() <= threads
        assert open_files() <= files + 2
        assert tasks_alive() <= tasks + 2
        await plug.suffer(Faults())
        assert (await asyncio.to_thread(driver.status)).on
        await asyncio.to_thread(driver.close)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def tasks_alive() -> int:
    """In whatever loop."""
    gc.collect()
    return sum(isinstance(found, asyncio.Task) for found in gc.get_objects())
