"""The INA260 reader between an emulated chip and a real broker, and a whole station with one."""

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from services.bus.clock import SystemClock, utc_now
from services.bus.runtime import Context
from services.core.config.load import ConfigError
from services.core.config.station import Station
from services.ina260_reader.drivers import remote
from services.ina260_reader.service import run
from services.simulator.devices.faults import Faults
from services.simulator.devices.ina260 import Direct, Ina260Chip
from services.simulator.devices.ina260_port import Ina260Port
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.state import Saved
from tests.support.brokers import TestBroker
from tests.support.house import get, post, running_house, simulated_station
from tests.support.plain_client import PlainClient
from tests.support.ports import free_port, free_ports
from tests.support.sps import sps_run, station_file
from tests.support.sps import wait_for as wait_within
from tests.support.waiting import wait_for

mosquitto = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
POLL_S = 0.1


@dataclass
class Bench:
    port: Ina260Port
    plain: PlainClient

    def heard(self, topic: str) -> list[dict[str, Any]]:
        return [heard.json for heard in self.plain.on(f"sps/demo/{topic}")]

    def readings(self) -> list[dict[str, Any]]:
        return self.heard("position/p4/reading")

    async def next_reading(self) -> dict[str, Any]:
        before = len(self.readings())
        await wait_for(lambda: len(self.readings()) > before, 15, what="a reading")
        return self.readings()[-1]

    async def health(self, wanted: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            last: dict[str, Any] = (self.heard("service/ina260_reader/status") or [{}])[-1]
            return last if last.get("health") == wanted else None

        status = await wait_for(found, 15, what=f"health {wanted}")
        assert status is not None
        return status


def station_on(broker: TestBroker, folder: Path, bus: str, **p4: object) -> Station:
    settings = {"sensor": "ina260", "bus": bus, "poll_s": POLL_S} | p4
    return simulated_station(folder, broker={"port": broker.port, "start": False}, positions={"p4": settings})


@asynccontextmanager
async def reading(station: Station, var: Path) -> AsyncIterator[None]:
    task = asyncio.create_task(run(Context(station, SystemClock(), var)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def bench(broker: TestBroker, folder: Path, line: Direct) -> AsyncIterator[Bench]:
    port = Ina260Port(Ina260Chip(lambda: line), host="127.0.0.1", port=0)
    await port.start()
    try:
        with PlainClient(broker.host, broker.port) as plain:
            async with reading(station_on(broker, folder, f"tcp:127.0.0.1:{port.port}"), folder):
                yield Bench(port, plain)
    finally:
        await port.stop()


@mosquitto
async def test_it_publishes_what_the_chip_measures_in_watts_with_its_sign(broker: TestBroker, tmp_path: Path):
    async with bench(broker, tmp_path, Direct(24.0, -5.0)) as running:
        first = await running.next_reading()
        last = await running.next_reading()
        assert (first["power_w"], first["voltage_v"], first["current_a"]) == pytest.approx((-120.0, 24.0, -5.0))
        assert "ina260" in first["device"]
        elapsed_s = (datetime.fromisoformat(last["ts"]) - datetime.fromisoformat(first["ts"])).total_seconds()
        assert last["energy_wh"] - first["energy_wh"] == pytest.approx(-120.0 * elapsed_s / 3600.0, rel=0.2)
        assert (await running.health("ok"))["state"] == "online"


@pytest.fixture(scope="module")
def rows() -> Iterator[list[tuple[str, str]]]:
    """What happened, printed at the end."""
    found: list[tuple[str, str]] = []
    yield found
    sys.stdout.write("\n".join(["", f"{'fault of an INA260':<21}what the reader did", *(f"{name:<21}{what}" for name, what in found), ""]))


@mosquitto
@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Faults(nack=True), "does not acknowledge"),
        (Faults(refuse=True), "bus"),
        (Faults(stuck=True), "no new value"),
        (Faults(silent=True), "does not answer"),
        (Faults(delay_s=1.2), "does not answer"),
    ],
    ids=["121", "no bus", "stuck", "silent", "delay"],
)
async def test_a_sick_chip_is_reported_and_degraded_tells_nothing_and_recovers_by_itself(
    broker: TestBroker, tmp_path: Path, faults: Faults, told: str, rows: list[tuple[str, str]]
):
    async with bench(broker, tmp_path, Direct(24.0, 5.0)) as running:
        await running.next_reading()
        threads = threading.active_count()
        await running.port.suffer(faults)
        started = time.monotonic()
        status = await running.health("degraded")
        told_s = time.monotonic() - started
        assert told in status["detail"]
        # Two polls that fail, each at the end of its time-out, and the fraction of a period until the first.
        assert told_s < 3 * POLL_S + 2 * remote.TIMEOUT_S + 0.5
        assert any(told in error["message"] and error["remedy"] for error in running.heard("service/ina260_reader/error"))
        heard = len(running.readings())
        await asyncio.sleep(0.3)
        assert len(running.readings()) == heard
        await running.port.suffer(Faults())
        started = time.monotonic()
        await running.next_reading()
        well_s = time.monotonic() - started
        await running.health("ok")
        assert threading.active_count() <= threads
        rows.append((told, f"degraded after {told_s:.2f} s, reads again {well_s:.2f} s after the chip"))


@mosquitto
async def test_a_chip_that_browned_out_is_set_up_again_before_the_next_reading_but_one(
    broker: TestBroker, tmp_path: Path, rows: list[tuple[str, str]]
):
    """Its default averages over a thousandth of a second: what it says until it is set up again is not taken."""
    async with bench(broker, tmp_path, Direct(24.0, 5.0)) as running:
        before = await running.next_reading()
        as_set_s = running.port.chip.span_s
        running.port.chip.power_on()
        assert running.port.chip.span_s < as_set_s / 10
        started = time.monotonic()
        after = await running.next_reading()
        assert running.port.chip.span_s == as_set_s
        assert after["energy_wh"] >= before["energy_wh"], "the energy is the reader's own, and no reset of the chip's"
        await running.health("ok")
        rows.append(("reboot", f"set up again, reads again after {time.monotonic() - started:.2f} s; energy goes on"))


@mosquitto
async def test_another_chip_at_the_address_is_never_read(broker: TestBroker, tmp_path: Path):
    port = Ina260Port(Ina260Chip(lambda: Direct(24.0, 5.0)), host="127.0.0.1", port=0)
    await port.suffer(Faults(wrong_identity=True))
    try:
        with PlainClient(broker.host, broker.port) as plain:
            async with reading(station_on(broker, tmp_path, f"tcp:127.0.0.1:{port.port}"), tmp_path):
                running = Bench(port, plain)
                assert "0x2260" in (await running.health("degraded"))["detail"]
                assert running.readings() == []
                await port.suffer(Faults())
                await running.next_reading()
    finally:
        await port.stop()


@mosquitto
async def test_it_starts_before_its_chip(broker: TestBroker, tmp_path: Path):
    address = free_port()
    with PlainClient(broker.host, broker.port) as plain:
        async with reading(station_on(broker, tmp_path, f"tcp:127.0.0.1:{address}"), tmp_path):
            port = Ina260Port(Ina260Chip(lambda: Direct(24.0, 5.0)), host="127.0.0.1", port=address)
            running = Bench(port, plain)
            await running.health("degraded")
            await port.start()
            try:
                await running.next_reading()
            finally:
                await port.stop()


@mosquitto
async def test_it_measures_the_simulated_panel(broker: TestBroker, tmp_path: Path):
    station = station_on(broker, tmp_path, f"tcp:127.0.0.1:{free_port()}")
    plant = PlantState.initial(PlantParameters.of(station)).to_dict()
    # Some noon to come: station time never goes back behind the wall clock.
    noon = datetime.combine(utc_now().date() + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=12)
    async with running_house(station, saved=Saved(station_time=noon, plant=plant)):
        with PlainClient(broker.host, broker.port) as plain:
            async with reading(station, tmp_path):
                running = Bench(Ina260Port(Ina260Chip(lambda: Direct(0.0, 0.0)), host="127.0.0.1", port=0), plain)
                power_w = (await running.next_reading())["power_w"]
                truth_w = (await get(f"{station.battery.address}/house")).json()["flows"]["p4_w"]
                assert truth_w > 5.0
                # One count of the current register at 24 V is 30 mW.
                assert power_w == pytest.approx(truth_w, abs=0.1)
                assert "welded" in (await post(f"{station.battery.address}/fault", {"device": "p4", "welded": True})).json()["error"]
                await post(f"{station.battery.address}/fault", {"device": "p4", "nack": True})
                await running.health("degraded")
                await post(f"{station.battery.address}/fault", {"device": "p4"})
                await running.health("ok")


@mosquitto
async def test_without_an_ina260_it_says_that_it_has_nothing_to_do(broker: TestBroker, tmp_path: Path):
    with pytest.raises(ConfigError, match="nothing to read"):
        await run(Context(simulated_station(tmp_path), SystemClock(), tmp_path))


@pytest.mark.timeout(240)
def test_a_whole_station_with_a_relay_at_p3_and_an_ina260_obeys_mode_0_and_goes_back(tmp_path: Path):
    p3, p4 = free_ports(2)
    file = station_file(
        tmp_path,
        positions={
            "p3": {"driver": "shelly_gen2", "address": f"http://127.0.0.1:{p3}"},
            "p4": {"sensor": "ina260", "bus": f"tcp:127.0.0.1:{p4}"},
        },
        limits={"dwell_s": 0},
        simulation={"seed_days": 0},
    )
    with sps_run(file, tmp_path / "var", "--speed", "1") as running, PlainClient("127.0.0.1", running.mqtt_port) as plain:

        def house() -> dict[str, Any]:
            found: dict[str, Any] = requests.get(f"{running.station['battery']['address']}/house", timeout=5).json()
            return found

        def state() -> dict[str, Any]:
            states = plain.on("sps/demo/controller/state")
            found: dict[str, Any] = states[-1].json if states else {}
            return found

        wait_within(lambda: state().get("mode_confirmed") not in (0, None), within_s=30, what="the daily cycle's mode")
        wait_within(lambda: plain.on("sps/demo/position/p4/reading"), within_s=10, what="P4 by the INA260")
        assert "ina260" in plain.on("sps/demo/position/p4/reading")[-1].json["device"]
        assert "shelly_gen2" in plain.on("sps/demo/position/p3/reading")[-1].json["device"]

        plain.publish("sps/demo/controller/override", '{"mode":0,"duration":"PT1H"}')
        wait_within(lambda: state().get("mode_confirmed") == 0, within_s=20, what="mode 0")
        off = house()
        assert [off["relays"][p]["output"] for p in ("p1", "p2", "p3")] == [False, False, False]
        assert off["flows"]["load_w"] == 0.0
        # The unsafe states carry the devices' own dead-men.
        assert [off["relays"][p]["timer_left_s"] is not None for p in ("p1", "p2", "p3")] == [True, False, True]

        plain.publish("sps/demo/controller/override", '{"release":true}')
        wait_within(lambda: state().get("mode_confirmed") not in (0, None), within_s=20, what="another mode")
        assert house()["relays"]["p3"]["output"]
        assert house()["flows"]["load_w"] > 0.0
