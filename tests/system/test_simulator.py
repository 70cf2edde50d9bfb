"""The simulator over a real broker, in process and as a process of its own."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from services.bus.clock import FollowedClock, Rate, utc_now
from services.bus.messages.state import ClockMessage
from services.bus.runtime import make_context
from services.core.config.station import Station
from services.simulator.plant import PlantState
from services.simulator.service import run
from services.simulator.state import save_initial
from tests.support.brokers import TestBroker
from tests.support.house import get, post, simulated_station
from tests.support.plain_client import PlainClient
from tests.support.sps import station_file
from tests.support.waiting import wait_for, wait_until


def station_on(broker: TestBroker, folder: Path) -> Station:
    return simulated_station(folder, broker={"port": broker.port, "start": False})


@asynccontextmanager
async def simulator(
    station: Station, var: Path, *, speed: float | None = None, lease_s: float | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """The service in this process, answering."""
    task = asyncio.create_task(run(make_context(station, var), speed=speed, lease_s=lease_s))
    try:
        while not task.done():
            with contextlib.suppress(requests.RequestException):
                await get(f"{station.battery.address}/identity")
                break
            await asyncio.sleep(0.01)
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def house(station: Station) -> dict[str, Any]:
    found: dict[str, Any] = (await get(f"{station.battery.address}/house")).json()
    return found


async def station_time(station: Station) -> datetime:
    return datetime.fromisoformat((await house(station))["station_time"])


def rates(client: PlainClient) -> list[Rate]:
    messages = [ClockMessage.model_validate_json(heard.payload) for heard in client.on("sps/demo/clock")]
    return [Rate(message.epoch_wall, message.epoch_station, message.speed) for message in messages]


async def test_it_publishes_the_clock_that_it_lives_by(broker: TestBroker, tmp_path: Path):
    station = station_on(broker, tmp_path)
    async with simulator(station, tmp_path / "var", speed=600.0):
        with PlainClient(broker.host, broker.port) as plain:
            await wait_for(lambda: rates(plain), what="the clock")
            follower = FollowedClock()
            follower.follow(rates(plain)[-1])
            assert follower.speed == 600.0
            before = utc_now()
            found = await station_time(station)
            after = utc_now()
            rate = rates(plain)[-1]
            # Between two lines of a busy process a millisecond may pass: 0.6 s of station time.
            slack = timedelta(seconds=1)
            assert rate.at(before) - slack <= found <= rate.at(after) + slack
        # Retained: who comes later hears it too.
        with PlainClient(broker.host, broker.port, subscribe="sps/demo/clock") as late:
            await wait_for(lambda: late.heard, what="the retained clock")
            assert late.heard[0].retained


async def test_it_says_the_time_again_when_the_broker_comes_back(broker: TestBroker, tmp_path: Path):
    station = station_on(broker, tmp_path)
    async with simulator(station, tmp_path / "var"):
        with PlainClient(broker.host, broker.port) as plain:
            await wait_for(lambda: rates(plain), what="the clock")
        await asyncio.to_thread(broker.stop)
        assert (await house(station))["unserved_s"] == 0.0
        await asyncio.to_thread(broker.start)
        with PlainClient(broker.host, broker.port) as plain:
            await wait_for(lambda: [heard for heard in plain.on("sps/demo/clock") if not heard.retained], 15, what="the clock again")


async def test_house_and_time_go_on_over_a_restart(broker: TestBroker, tmp_path: Path):
    station, var = station_on(broker, tmp_path), tmp_path / "var"
    async with simulator(station, var, speed=60.0):
        await post(f"{station.battery.address}/soc", {"pct": 42})
        await asyncio.sleep(0.3)
        before = await house(station)
        time_before = await station_time(station)
        with PlainClient(broker.host, broker.port) as plain:
            await wait_for(lambda: rates(plain))
            rate_before = rates(plain)[-1]
    async with simulator(station, var, speed=60.0):
        after = await house(station)
        assert await station_time(station) >= time_before
        assert after["soc_pct"] == pytest.approx(42, abs=1)
        assert after["state"]["p1_wh"] >= before["state"]["p1_wh"]
        with PlainClient(broker.host, broker.port) as plain:
            await wait_for(lambda: rates(plain))
            assert rates(plain)[-1] == rate_before


async def test_it_starts_from_a_seeded_house(broker: TestBroker, tmp_path: Path):
    station, var = station_on(broker, tmp_path), tmp_path / "var"
    later = utc_now() + timedelta(days=1)
    save_initial(var / "simulator", PlantState(stored_wh=0.25 * station.battery.capacity_wh, p1_wh=1234.0), later)
    async with simulator(station, var):
        found = await house(station)
        assert await station_time(station) >= later
        assert found["soc_pct"] == pytest.approx(25, abs=1)
        assert found["state"]["p1_wh"] >= 1234.0


async def test_a_spoilt_state_file_is_kept_aside_and_said(broker: TestBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    station, var = station_on(broker, tmp_path), tmp_path / "var"
    (var / "simulator").mkdir(parents=True)
    (var / "simulator" / "state.json").write_text("{", encoding="utf-8")
    async with simulator(station, var):
        assert (await house(station))["soc_pct"] == pytest.approx(60, abs=1)
    assert [file.name for file in (var / "simulator").iterdir() if file.suffix == ".bad"]
    assert "state.json" in caplog.text


async def test_without_a_renewed_lease_it_ends_by_itself(broker: TestBroker, tmp_path: Path):
    station = station_on(broker, tmp_path)
    async with simulator(station, tmp_path / "var", lease_s=1.0) as task:
        for _ in range(4):
            await asyncio.sleep(0.4)
            assert (await post(f"{station.battery.address}/lease")).ok
        assert not task.done()
        await wait_for(task.done, 5, what="the end of the lease")
        task.result()


@contextmanager
def process(file: Path, var: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The simulator as `sps run` starts it, answering."""
    command = [sys.executable, "-m", "services.simulator", "--config", str(file), "--var", str(var), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def answer(address: str, within_s: float = 20.0) -> dict[str, Any]:
    """What stands at `address`, once it answers."""

    def found() -> Any:
        with contextlib.suppress(requests.RequestException):
            return requests.get(address, timeout=2).json()

    body: dict[str, Any] = wait_until(found, within_s, what=address)
    return body


def test_as_a_process_it_names_itself_and_survives_a_kill(tmp_path: Path):
    file, var = station_file(tmp_path), tmp_path / "var"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    battery, p1 = config["battery"]["address"], config["positions"]["p1"]["address"]
    with process(file, var, "--speed", "120", "--lease", "60") as child:
        identity = answer(f"{battery}/identity")
        assert identity == {"name": "sps-simulator", "station": "demo", "speed": 120.0, "pid": child.pid}
        assert requests.get(f"{p1}/rpc/Switch.Set?id=0&on=false&toggle_after=60", timeout=5).json() == {"was_on": True}
        wait_until((var / "simulator" / "state.json").exists, what="the first save")
        before = answer(f"{battery}/house")
        child.kill()
    with process(file, var, "--speed", "120", "--lease", "60") as child:
        after = answer(f"{battery}/house")
        assert after["station_time"] >= before["station_time"]
        # The device lost power: it is in its boot state, and its timer is forgotten.
        assert after["relays"]["p1"] == {"output": True, "contact": True, "timer_left_s": None}
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0


def test_a_second_simulator_on_the_same_ports_says_so_in_one_line(tmp_path: Path):
    file = station_file(tmp_path)
    battery = yaml.safe_load(file.read_text(encoding="utf-8"))["battery"]["address"]
    with process(file, tmp_path / "var"):
        answer(f"{battery}/identity")
        with process(file, tmp_path / "var2") as second:
            _, said = second.communicate(timeout=20)
            assert second.returncode == 1
            assert said.count(b"\n") == 1
            assert b"cannot listen on 127.0.0.1:" in said


@pytest.mark.parametrize(
    ("change", "named"),
    [({"battery": {"address": "http://192.168.1.9:80"}}, b"battery.address"), ({"battery": {"capacity_wh": -1}}, b"battery.capacity_wh")],
)
def test_a_station_that_cannot_be_simulated_is_refused_by_field(tmp_path: Path, change: dict[str, Any], named: bytes):
    file = station_file(tmp_path, **change)
    with process(file, tmp_path / "var") as child:
        _, said = child.communicate(timeout=20)
        assert child.returncode == 2
        assert named in said
