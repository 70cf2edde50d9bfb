"""The bridge, a broker and a simulated house with a Bluetti in it: Bluetooth frames between processes, readings on the bus."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from services.bluetti_bridge.service import run
from services.bus.clock import SystemClock
from services.bus.runtime import Context, load_station
from services.core.config.station import Station
from tests.support.brokers import TestBroker
from tests.support.plain_client import PlainClient
from tests.support.ports import free_ports
from tests.support.sps import station_file
from tests.support.waiting import wait_for, wait_until

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
NAME = "AC1802237000123456"


@contextmanager
def simulator_process(file: Path, var: Path, station: Station) -> Iterator[None]:
    def answers() -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{station.simulator_address}/identity", timeout=1).ok
        return False

    command = [sys.executable, "-m", "services.simulator", "--config", str(file), "--var", str(var), "--speed", "1"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            wait_until(answers, 20, what="the simulator answers")
            yield
        finally:
            process.terminate()
            process.wait()


@asynccontextmanager
async def bridge(station: Station, var: Path) -> AsyncIterator[None]:
    task = asyncio.create_task(run(Context(station, SystemClock(), var)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def running(file: Path, station: Station, var: Path) -> AsyncIterator[None]:
    with simulator_process(file, var, station):
        async with bridge(station, var):
            yield


def heard(plain: PlainClient, topic: str) -> list[dict[str, Any]]:
    return [message.json for message in plain.on(f"sps/demo/{topic}")]


def tell(station: Station, what: str, **body: Any) -> None:
    answer = requests.post(f"{station.simulator_address}/{what}", json=body, timeout=5)
    assert answer.ok, answer.text


def prepared(broker: TestBroker, folder: Path, **battery: Any) -> tuple[Path, Station]:
    hci, port = free_ports(2)
    file = station_file(
        folder,
        broker={"host": broker.host, "port": broker.port, "start": False},
        battery={"driver": "bluetti_ble", "address": f"hci:tcp:127.0.0.1:{hci}/{NAME}", "poll_s": 0.5, "timeout_s": 1.0, **battery},
        simulation={"port_address": f"http://127.0.0.1:{port}", "speed": 1, "seed_days": 0},
    )
    return file, load_station(file)


async def test_frames_cross_between_two_processes_and_the_station_is_on_the_bus(
    broker: TestBroker, plain: PlainClient, tmp_path: Path
) -> None:
    file, station = prepared(broker, tmp_path, connections_per_hour=7200)
    async with running(file, station, tmp_path / "var"):
        tell(station, "soc", pct=42)
        await wait_for(lambda: [m for m in heard(plain, "battery/reading") if m["soc_pct"] == 42], 10, what="a reading by Bluetooth")
        reading = heard(plain, "battery/reading")[-1]
        assert (reading["ac_output_on"], reading["eco_mode"], reading["device"]) == (True, False, f"bluetti_ble {station.battery.address}")
        for position, power_w in (("p3", reading["ac_out_w"]), ("p4", reading["dc_in_w"])):
            topic = f"position/{position}/reading"
            await wait_for(lambda: power_w in [m["power_w"] for m in heard(plain, topic)], what=f"{position} by the same reading")  # noqa: B023
        link = heard(plain, "battery/link")[-1]
        assert (link["available"], link["silent"], link["rssi_dbm"]) == (True, False, -50)
        tell(station, "ac_output", on=False)
        await wait_for(lambda: heard(plain, "battery/reading")[-1]["ac_output_on"] is False, 5, what="the AC output's button is seen")


async def test_a_station_that_falls_silent_is_said_to_be_so_and_comes_back(broker: TestBroker, plain: PlainClient, tmp_path: Path) -> None:
    file, station = prepared(broker, tmp_path, connections_per_hour=7200, silent_after_s=2.5)
    async with running(file, station, tmp_path / "var"):
        await wait_for(lambda: heard(plain, "battery/reading"), 10, what="a reading")
        tell(station, "fault", device="station", refuse=True)
        await wait_for(lambda: not heard(plain, "battery/link")[-1]["available"], 5, what="unavailable")
        link = heard(plain, "battery/link")[-1]
        assert (link["silent"], link["last_failure"]) == (False, "not heard within 1 s: asleep, out of reach, or connected to an app")
        await wait_for(lambda: heard(plain, "battery/link")[-1]["silent"], 10, what="silent")
        assert "silent for more than 2.5 s" in heard(plain, "service/bluetti_bridge/status")[-1]["detail"]
        tell(station, "fault", device="station")
        await wait_for(lambda: heard(plain, "battery/link")[-1]["available"], 60, what="available")
        link = heard(plain, "battery/link")[-1]
        assert (link["silent"], link["failures"]) == (False, 0)
        assert link["last_failure"], "the reason stays"
        assert heard(plain, "service/bluetti_bridge/status")[-1]["health"] == "ok"


async def test_no_more_connections_than_allowed(broker: TestBroker, plain: PlainClient, tmp_path: Path) -> None:
    file, station = prepared(broker, tmp_path, connections_per_hour=3, poll_s=0.05)
    async with running(file, station, tmp_path / "var"):
        await wait_for(lambda: len(heard(plain, "battery/reading")) == 3, 15, what="three readings")
        await asyncio.sleep(1.5)
        assert len(heard(plain, "battery/reading")) == 3
