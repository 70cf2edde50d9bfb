"""The observer in the running controller: published over a real broker, beside a power station's word and without one."""

import asyncio
import contextlib
import random
from dataclasses import replace

import pytest

from services.bus.clock import SystemClock
from services.bus.runtime import Context
from services.controller import service, store, telling
from services.controller.model import Memory, Settings
from services.core.config.load import parse_station
from services.core.observer import REPORT_EVERY_S, Inputs, Observer, update
from tests.support.sps import SHIPPED
from tests.support.waiting import wait_for
from tests.system.test_controller import ROOT, House, p1_commands, p1_goes

REST = Inputs(0.0, 0.0, 0.0, False, True)
NO_LINK = """
battery:
  driver: none
  capacity_wh: 1152
  inverter_w: 1800
  charge_w: 700
"""


class Unlinked(House):
    """A house whose power station says nothing; a relay at P3 meters it."""

    p3_v = 230.0

    def __init__(self, plain):
        super().__init__(plain)
        self.relays["p3"] = True

    def tell(self, topic, *, retain=False, **body):
        if topic.startswith("position/p3"):
            body["voltage_v"] = self.p3_v
        if topic != "battery/reading":
            super().tell(topic, retain=retain, **body)


@contextlib.asynccontextmanager
async def living(house):
    task = asyncio.create_task(house.live())
    try:
        yield house
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def controller(station, broker, plain, var):
    station = station.model_copy(
        update={
            "clock": "system",
            "broker": station.broker.model_copy(update={"port": broker.port}),
            "limits": station.limits.model_copy(update={"dwell_s": 0.0}),
        }
    )
    context = Context(station=station, clock=SystemClock(), var=var, random=random.Random(1))
    task = asyncio.create_task(service.run(context))
    try:
        await wait_for(lambda: plain.on(f"{ROOT}/controller/state"), what="the controller's first decision")
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def shipped():
    return parse_station(SHIPPED.read_text(encoding="utf-8"))


def unlinked():
    """The shipped station with a relay at P3, no panel, and no data link."""
    text = SHIPPED.read_text(encoding="utf-8")
    head, _, rest = text.partition("\nbattery:")
    tail = rest[rest.index("\nlimits:") :]
    positions = head.replace("    sensor: station\n  p4:", "    driver: shelly_gen2\n    address: http://127.0.0.1:18084\n  p4:")
    before_p4, _, after_p4 = positions.partition("\n  p4:")
    return parse_station(before_p4 + "\n" + after_p4[after_p4.index("\ntransfer_switch:") :] + NO_LINK + tail)


def remembering(var, soc_pct):
    """A state file whose observer has seen `soc_pct`."""
    station = unlinked()
    battery = Settings.of(station).battery
    observer = replace(update(Observer(), REST._replace(report_pct=soc_pct), 0.0, battery), report_s=REPORT_EVERY_S)
    (var / "controller").mkdir(parents=True)
    store.save(var / "controller" / "state.json", store.State(memory=Memory(observer=observer)))


async def estimate(plain):
    await wait_for(lambda: plain.on(f"{ROOT}/battery/estimate"), what="an estimate")
    told = plain.on(f"{ROOT}/battery/estimate")[-1].json
    assert told is not None
    return told


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(telling, "TELL_S", 0.2)


async def test_beside_a_linked_station_the_estimate_follows_its_word_with_a_band(broker, plain, tmp_path):
    async with living(House(plain)), controller(shipped(), broker, plain, tmp_path):
        told = await estimate(plain)
        assert told["low"] < 80.0 < told["high"]
        assert told["soc_pct"] == pytest.approx(80.0, abs=1.0)


async def test_a_station_that_contradicts_its_meters_is_said_so(broker, plain, tmp_path):
    remembering(tmp_path, 40.0)
    house = House(plain)
    async with living(house), controller(shipped(), broker, plain, tmp_path):
        error = await wait_for(
            lambda: next((h.json for h in plain.on(f"{ROOT}/service/controller/error") if h.json["field"] == "soc_pct"), None),
            what="the contradiction to be told",
        )
        assert error is not None
        assert error["value"] == "80"
        assert "capacity_wh" in error["remedy"]


async def test_without_a_data_link_an_event_runs_on_the_estimate_and_on_p3s_voltage(broker, plain, tmp_path):
    remembering(tmp_path, 75.0)
    async with living(Unlinked(plain)) as house, controller(unlinked(), broker, plain, tmp_path):
        told = await estimate(plain)
        assert told["low"] < 75.0 < told["high"]
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now", "duration": "PT1H"})
        await p1_goes(plain, on=False)
        house.p3_v = 0.0
        await p1_goes(plain, on=True)


async def test_without_a_data_link_and_with_nothing_seen_yet_the_load_stays_on_the_grid(broker, plain, tmp_path):
    async with living(Unlinked(plain)), controller(unlinked(), broker, plain, tmp_path):
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now", "duration": "PT1H"})
        await wait_for(lambda: plain.on(f"{ROOT}/controller/state")[-1].json["reason_code"] == "soc_unknown", what="the reason")
        assert p1_commands(plain)[-1]["on"]
        assert not plain.on(f"{ROOT}/battery/estimate"), "unknown is not a figure"
