"""A power station that misbehaves over Bluetooth, in an event or a thousand times: the load keeps its source, the bridge leaks nothing."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from services.bluetti_bridge.drivers.bluetti_ble import connect
from services.bluetti_bridge.errors import StationError
from services.simulator.devices.bluetti import BluettiFaults
from tests.support.bluetti import emulated_bluetti
from tests.support.leaks import FAILURES, Held, assert_works_again, failures, run_alone, threads_for
from tests.support.ports import free_ports
from tests.support.sps import Running, sps_run, station_file, wait_for

WARM_UP = 2
"""Times in every way."""
LANES = 20
"""Drivers at a time, each with a power station of its own."""
POLL_S = 1
TIMEOUT_S = 2
KINDS = (
    BluettiFaults(silent=True),
    BluettiFaults(absent=True),
    BluettiFaults(bad_crc=True),
    BluettiFaults(half=True),
    BluettiFaults(failure=True),
)


@pytest.mark.timeout(180)
def test_a_thousand_failures_leave_no_task_thread_connection_or_memory_behind() -> None:
    run_alone(__name__, within_s=170)


async def fail_a_thousand_times() -> None:
    """Raises AssertionError for anything that is left behind."""
    threads_for(LANES)
    async with AsyncExitStack() as stack:
        stations = [await stack.enter_async_context(emulated_bluetti()) for _ in range(LANES)]
        # Enough for the emulated air, which carries a reading in a tenth of that.
        drivers = [connect(station.station(timeout_s=0.25)) for station in stations]
        for driver in drivers:
            stack.push_async_callback(asyncio.to_thread, driver.close)

        async def all_fail(times: int) -> int:
            failed = 0
            for faults in KINDS:
                await asyncio.gather(*(station.device.suffer(faults) for station in stations))
                calls = (asyncio.to_thread(failures, driver.read, times, StationError) for driver in drivers)
                failed += sum(await asyncio.gather(*calls))
            return failed

        await all_fail(WARM_UP)
        before = Held.now()
        assert await all_fail(FAILURES // (len(KINDS) * LANES)) == FAILURES
        Held.now().assert_no_more_than(before)
        assert not any(station.air.adapters for station in stations)
        await asyncio.gather(*(station.device.suffer(BluettiFaults()) for station in stations))
        for driver in drivers:
            await asyncio.to_thread(assert_works_again, driver.read, StationError)


@dataclass(frozen=True)
class InEvent:
    """A station in an event, with its power station over Bluetooth, for faults that it survives."""

    running: Running
    controls: str
    rows: list[tuple[str, str]]

    def suffer(self, **fault: Any) -> None:
        answer = requests.post(f"{self.controls}/fault", json={"device": "station", **fault}, timeout=5)
        assert answer.ok, answer.text

    def degraded(self) -> bool:
        query = "topic=service/bluetti_bridge/status&start=2020-01-01T00:00:00Z&end=2100-01-01T00:00:00Z"
        rows = requests.get(f"{self.running.recorder}/api/states?{query}", timeout=5).json()
        return bool(rows) and rows[-1]["payload"]["health"] == "degraded"

    def seconds_until(self, condition: Callable[[], bool], within_s: float, what: str) -> float:
        started = time.monotonic()
        wait_for(condition, within_s=within_s, what=what)
        return time.monotonic() - started


@pytest.fixture(scope="module")
def in_event(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InEvent]:
    folder = tmp_path_factory.mktemp("in_event")
    hci, port = free_ports(2)
    controls = f"http://127.0.0.1:{port}"
    address = f"hci:tcp:127.0.0.1:{hci}/AC1802237000123456"
    file = station_file(
        folder,
        battery={"driver": "bluetti_ble", "address": address, "poll_s": POLL_S, "timeout_s": TIMEOUT_S, "connections_per_hour": 7200},
        simulation={"speed": 1, "seed_days": 0, "port_address": controls},
        limits={"dwell_s": 0},
    )
    rows: list[tuple[str, str]] = []
    with sps_run(file, folder / "var") as running:
        requests.post(f"{controls}/soc", json={"pct": 80}, timeout=5)
        assert running.sps("event", "schedule", "now", "--duration", "PT1H", "--id", "e1").returncode == 0
        wait_for(lambda: not running.relay_is_on("p1"), within_s=60, what="P1 opens")
        yield InEvent(running, controls, rows)
    sys.stdout.write("\n".join(["", f"{'fault of a Bluetti':<21}what happened", *(f"{name:<21}{what}" for name, what in rows), ""]))


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "fault",
    [{"silent": True}, {"refuse": True}, {"nonsense": True}, {"half": True}, {"http_500": True}, {"delay_s": 30}],
    ids=lambda fault: next(iter(fault)),
)
def test_in_an_event_the_load_has_its_source_and_the_bridge_recovers_by_itself(in_event: InEvent, fault: dict[str, Any]) -> None:
    """The first finds P1 open, the others within the minute's pause that follows. `nonsense` is a wrong checksum."""
    in_event.suffer(**fault)
    told_s = in_event.seconds_until(in_event.degraded, 4 * (POLL_S + TIMEOUT_S), "the bridge says so")
    closed_s = told_s + in_event.seconds_until(lambda: in_event.running.relay_is_on("p1"), 40, "P1 closes")
    in_event.suffer()
    well_s = in_event.seconds_until(lambda: not in_event.degraded(), 60, "the bridge recovers by itself")
    assert requests.get(f"{in_event.controls}/house", timeout=5).json()["unserved_s"] <= 1.0
    told = f"told after {told_s:.1f} s, P1 on after {closed_s:.1f} s, well {well_s:.1f} s after the device"
    in_event.rows.append((next(iter(fault)), told))


if __name__ == "__main__":
    asyncio.run(fail_a_thousand_times())
