"""A power station that misbehaves over Bluetooth, in an event or a thousand times: the load keeps its source, the bridge leaks nothing."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from services.bluetti_bridge.drivers.bluetti_ble import connect
from services.bluetti_bridge.errors import StationError
from services.simulator.devices.bluetti import BluettiFaults
from tests.support.bluetti import emulated_bluetti
from tests.support.leaks import FAILURES, Held, assert_works_again, failures, run_alone, threads_for
from tests.support.ports import free_ports
from tests.support.sps import sps_run, station_file, wait_for

WARM_UP = 2
"""Times in every way."""
LANES = 20
"""Drivers at a time, each with a power station of its own."""
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


@pytest.mark.parametrize(
    "fault", [{"refuse": True}, {"silent": True}, {"nonsense": True}, {"half": True}], ids=lambda fault: next(iter(fault))
)
def test_in_an_event_the_load_goes_back_to_the_grid_and_the_bridge_recovers_by_itself(tmp_path: Path, fault: dict[str, bool]) -> None:
    hci, port = free_ports(2)
    controls = f"http://127.0.0.1:{port}"
    file = station_file(
        tmp_path,
        battery={
            "driver": "bluetti_ble",
            "address": f"hci:tcp:127.0.0.1:{hci}/AC1802237000123456",
            "poll_s": 1,
            "timeout_s": 2,
            "connections_per_hour": 7200,
        },
        simulation={"speed": 1, "seed_days": 0, "port_address": controls},
        limits={"dwell_s": 0},
    )
    with sps_run(file, tmp_path / "var") as running:

        def ask(what: str) -> Any:
            answer = requests.get(what, timeout=5)
            return answer.json() if answer.ok else {}

        def degraded() -> bool:
            rows = ask(
                f"{running.recorder}/api/states?topic=service/bluetti_bridge/status&start=2020-01-01T00:00:00Z&end=2100-01-01T00:00:00Z"
            )
            return bool(rows) and rows[-1]["payload"]["health"] == "degraded"

        requests.post(f"{controls}/soc", json={"pct": 80}, timeout=5)
        assert running.sps("event", "schedule", "now", "--duration", "PT1H", "--id", "e1").returncode == 0
        wait_for(lambda: not running.relay_is_on("p1"), within_s=30, what="P1 opens")
        requests.post(f"{controls}/fault", json={"device": "station", **fault}, timeout=5)
        wait_for(degraded, within_s=8, what="the bridge says so")
        wait_for(lambda: running.relay_is_on("p1"), within_s=40, what="P1 closes")
        requests.post(f"{controls}/fault", json={"device": "station"}, timeout=5)
        wait_for(lambda: not degraded(), within_s=60, what="the bridge recovers by itself")
        assert ask(f"{controls}/house")["unserved_s"] <= 1.0


if __name__ == "__main__":
    asyncio.run(fail_a_thousand_times())
