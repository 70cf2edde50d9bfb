"""The power station's bridge between a simulated station's port and a real broker."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.bluetti_bridge.service import run
from services.bus.clock import SystemClock
from services.bus.runtime import Context
from services.core.config.load import ConfigError, parse_station
from services.core.config.station import Station
from services.simulator.devices.faults import Faults, spoil
from services.simulator.http_server import HttpServer, Request, Response, json_response
from tests.support.brokers import TestBroker
from tests.support.plain_client import PlainClient
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)


@dataclass
class PowerStation:
    """Answers `GET /status`."""

    says: dict[str, Any] = field(default_factory=lambda: {"soc_pct": 71.5, "ac_out_w": 123.4, "dc_in_w": 50.0, "ac_output_on": True})
    faults: Faults = field(default_factory=Faults)

    async def answer(self, request: Request) -> Response | None:
        assert (request.method, request.path) == ("GET", "/status")
        return await spoil(self.faults, json_response(self.says))


@dataclass
class Bench:
    power_station: PowerStation
    plain: PlainClient
    station: Station

    def heard(self, topic: str) -> list[dict[str, Any]]:
        return [heard.json for heard in self.plain.on(f"sps/demo/{topic}")]

    async def next(self, topic: str) -> dict[str, Any]:
        """The next message on `topic` that comes from now on."""
        before = len(self.heard(topic))
        await wait_for(lambda: len(self.heard(topic)) > before, what=topic)
        return self.heard(topic)[-1]

    async def health(self, wanted: str) -> None:
        await wait_for(lambda: (self.heard("service/bluetti_bridge/status") or [{}])[-1].get("health") == wanted, what=f"health {wanted}")


@asynccontextmanager
async def bench(broker: TestBroker, var: Path, **battery: object) -> AsyncIterator[Bench]:
    power_station = PowerStation()
    server = HttpServer(power_station.answer, "127.0.0.1", 0)
    await server.start()
    address = f"http://127.0.0.1:{server.port}"
    settings = {"driver": "simulated", "address": address, "poll_s": 0.05, "timeout_s": 0.2} | battery
    text = {
        "station": "demo",
        "timezone": "Europe/Paris",
        "broker": {"host": broker.host, "port": broker.port},
        "positions": {"p1": {"address": "http://127.0.0.1:9"}, "p2": {"address": "http://127.0.0.1:9"}, "p4": {"sensor": "station"}},
        "transfer_switch": {"priority": "grid"},
        "battery": settings | {"capacity_wh": 1152, "inverter_w": 1800, "charge_w": 700},
    }
    station = parse_station(yaml.safe_dump(text))
    try:
        with PlainClient(broker.host, broker.port) as plain:
            task = asyncio.create_task(run(Context(station, SystemClock(), var)))
            try:
                yield Bench(power_station, plain, station)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
    finally:
        await server.stop()


async def test_publishes_what_the_station_says_and_the_positions_it_measures(broker: TestBroker, tmp_path: Path) -> None:
    async with bench(broker, tmp_path) as running:
        battery = await running.next("battery/reading")
        await wait_for(lambda: running.heard("position/p4/reading"))
    assert (battery["soc_pct"], battery["ac_out_w"], battery["ac_output_on"], battery["eco_mode"]) == (71.5, 123.4, True, None)
    p3, p4 = running.heard("position/p3/reading")[0], running.heard("position/p4/reading")[0]
    assert (p3["power_w"], p3["voltage_v"], p4["power_w"]) == (123.4, None, 50.0)
    assert p3["ts"] == p4["ts"] == running.heard("battery/reading")[0]["ts"]


async def test_a_field_that_cannot_be_true_is_unknown_and_reported(broker: TestBroker, tmp_path: Path) -> None:
    async with bench(broker, tmp_path) as running:
        await running.next("battery/reading")
        running.power_station.says["ac_out_w"] = -5
        await wait_for(lambda: (running.heard("position/p3/reading") or [{"power_w": 0}])[-1]["power_w"] is None)
        await running.health("degraded")
        assert running.heard("battery/reading")[-1]["soc_pct"] == 71.5
        error = (await wait_for(lambda: running.heard("service/bluetti_bridge/error")))[0]
        assert (error["field"], error["value"]) == ("battery.ac_out_w", "-5")
        running.power_station.says["ac_out_w"] = 5
        await running.health("ok")


@pytest.mark.parametrize(
    "faults",
    [Faults(silent=True), Faults(http_500=True), Faults(nonsense=True), Faults(half=True)],
    ids=["silent", "500", "nonsense", "half an answer"],
)
async def test_a_sick_station_is_degraded_and_says_nothing_and_recovers_by_itself(
    broker: TestBroker, tmp_path: Path, faults: Faults
) -> None:
    async with bench(broker, tmp_path) as running:
        await running.next("battery/reading")
        threads = threading.active_count()
        running.power_station.faults = faults
        await running.health("degraded")
        assert running.heard("service/bluetti_bridge/error")
        heard = len(running.heard("battery/reading"))
        await asyncio.sleep(0.3)
        assert len(running.heard("battery/reading")) == heard
        running.power_station.faults = Faults()
        await running.health("ok")
        await running.next("battery/reading")
        assert threading.active_count() <= threads


async def test_an_unknown_driver_is_named_with_what_there_is(broker: TestBroker, tmp_path: Path) -> None:
    async with bench(broker, tmp_path) as running:
        station = running.station.model_copy(update={"battery": running.station.battery.model_copy(update={"driver": "bluetooth"})})
        with pytest.raises(ConfigError, match=r"'bluetooth' is not known; use one of .*simulated"):
            await run(Context(station, SystemClock(), tmp_path))
