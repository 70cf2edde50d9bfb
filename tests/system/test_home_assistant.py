"""The Home Assistant service on a real broker: what appears there, and what a choice made there does."""

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from pathlib import Path

from services.bus.clock import SystemClock
from services.bus.runtime import Context, load_station
from services.home_assistant.service import run
from tests.support.waiting import wait_for

SHIPPED = Path("config/station.yaml")
SELECT = "homeassistant/select/demo_manual_mode/config"
P4 = "homeassistant/sensor/demo_p4_power/config"


def station_on(broker, *, pv: bool = True):
    station = load_station(SHIPPED)
    positions = station.positions if pv else station.positions.model_copy(update={"p4": None})
    address = station.broker.model_copy(update={"host": broker.host, "port": broker.port})
    return station.model_copy(update={"broker": address, "clock": "system", "positions": positions})


@asynccontextmanager
async def serving(station, var):
    task = asyncio.create_task(run(Context(station=station, clock=SystemClock(), var=var)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_entities_appear_retained_and_a_choice_becomes_an_override(broker, plain, tmp_path):
    async with serving(station_on(broker), tmp_path):
        heard = await wait_for(lambda: plain.on(SELECT), what="the select's discovery message")
        command_topic = heard[-1].json["command_topic"]
        assert command_topic == "sps/demo/home_assistant/mode/set"
        await wait_for(lambda: plain.on("sps/demo/service/home_assistant/status"), what="the service's status")
        await asyncio.to_thread(plain.publish, command_topic, "5 battery")
        override = await wait_for(lambda: plain.on("sps/demo/controller/override"), what="the override")
        assert (override[0].json["mode"], override[0].json["release"]) == (5, False)
        await asyncio.to_thread(plain.publish, command_topic, "automatic")
        released = await wait_for(lambda: plain.on("sps/demo/controller/override")[1:], what="the release")
        assert released[0].json["release"] is True
        await asyncio.to_thread(plain.publish, command_topic, "5 battery")
        again = await wait_for(lambda: plain.on("sps/demo/controller/override")[2:], what="the same choice again")
        assert again[0].json["mode"] == 5
        assert again[0].payload != override[0].payload, "the same bytes within a minute would be dropped"


async def test_wrong_and_retained_choices_are_refused_with_a_remedy(broker, plain, tmp_path):
    command_topic = "sps/demo/home_assistant/mode/set"
    plain.publish(command_topic, "5 battery", retain=True)
    async with serving(station_on(broker), tmp_path):
        error_topic = "sps/demo/service/home_assistant/error"
        retained = await wait_for(lambda: plain.on(error_topic), what="the refusal of the retained choice")
        assert "mosquitto_pub -r -n" in retained[0].json["remedy"]
        await asyncio.to_thread(plain.publish, command_topic, "warp speed")
        wrong = await wait_for(lambda: plain.on(error_topic)[1:], what="the refusal of the wrong choice")
        assert (wrong[0].json["value"], "automatic" in wrong[0].json["remedy"]) == ("warp speed", True)
        await asyncio.to_thread(plain.publish, command_topic, b"\xff\xfe")
        undecodable = await wait_for(lambda: plain.on(error_topic)[2:], what="the refusal of what is no text")
        assert undecodable[0].json["field"] == "text"
        assert plain.on("sps/demo/controller/override") == []


async def test_what_a_new_configuration_lacks_is_taken_away(broker, plain, tmp_path):
    async with serving(station_on(broker), tmp_path):
        await wait_for(lambda: plain.on(P4), what="P4 appears")
    async with serving(station_on(broker, pv=False), tmp_path):
        await wait_for(lambda: plain.on(P4)[-1].payload == b"", what="P4 is taken away")
    kept = json.loads((tmp_path / "home_assistant" / "published.json").read_text())
    assert (SELECT in kept, P4 in kept) == (True, False)
