"""The controller as a process' loop over a real broker; the devices are played by a bare MQTT client."""

import asyncio
import contextlib
import json
import random
from datetime import UTC, datetime

import pytest

from services.bus.clock import SystemClock
from services.bus.runtime import Context
from services.controller import service, store
from services.core.config.load import parse_station
from tests.support.sps import SHIPPED
from tests.support.waiting import wait_for

ROOT = "sps/demo"


class House:
    """Publishes what a house's bridges would, five times a second, and obeys the relay commands that it hears."""

    def __init__(self, plain):
        self.plain = plain
        self.soc_pct, self.ac_output_on, self.load_w = 80.0, True, 200.0
        self.obeys = True
        self.relays = {"p1": True, "p2": False}

    async def live(self):
        while True:
            if self.obeys:
                for position in self.relays:
                    if commands := self.plain.on(f"{ROOT}/relay/{position}/command"):
                        self.relays[position] = commands[-1].json["on"]
            p1 = self.relays["p1"]
            self.reading("p1", self.load_w if p1 else 0.0)
            self.reading("p2", 700.0 if self.relays["p2"] else 0.0)
            self.reading("p3", 0.0 if p1 else self.load_w)
            for position, on in self.relays.items():
                self.tell(f"relay/{position}/state", retain=True, on=on, confirmed_by="readback")
            self.tell("battery/reading", soc_pct=self.soc_pct, ac_output_on=self.ac_output_on, eco_mode=False, device="played")
            await asyncio.sleep(0.2)

    def reading(self, position, power_w):
        self.tell(f"position/{position}/reading", power_w=power_w, voltage_v=230.0, device="played")

    def tell(self, topic, *, retain=False, **body):
        body["ts"] = datetime.now(UTC).isoformat()
        self.plain._client.publish(f"{ROOT}/{topic}", json.dumps(body), 0, retain)


@pytest.fixture
async def house(plain):
    house = House(plain)
    task = asyncio.create_task(house.live())
    yield house
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@contextlib.asynccontextmanager
async def controller(broker, plain, var, **changes):
    station = parse_station(SHIPPED.read_text(encoding="utf-8"))
    station = station.model_copy(
        update={
            "clock": "system",
            "broker": station.broker.model_copy(update={"port": broker.port}),
            "limits": station.limits.model_copy(update={"dwell_s": 0.0, **changes}),
        }
    )
    context = Context(station=station, clock=SystemClock(), var=var, random=random.Random(1))
    told = len(plain.on(f"{ROOT}/controller/state"))
    task = asyncio.create_task(service.run(context))
    try:
        # Only then is it subscribed; nothing queued for a command session fires late.
        await wait_for(lambda: len(plain.on(f"{ROOT}/controller/state")) > told, what="the controller's first decision")
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def p1_commands(plain):
    return [heard.json for heard in plain.on(f"{ROOT}/relay/p1/command")]


async def p1_goes(plain, on):
    return await wait_for(lambda: p1_commands(plain) and p1_commands(plain)[-1]["on"] is on, what=f"P1 to be commanded {on}")


async def event_is(plain, event_id, status):
    def last():
        heard = [h for h in plain.on(f"{ROOT}/event/{event_id}") if h.payload]
        return heard and heard[-1].json["status"] == status

    return await wait_for(last, what=f"event {event_id} to be {status}")


async def error_about(plain, field):
    def found():
        return next((h.json for h in plain.on(f"{ROOT}/service/controller/error") if h.json["field"] == field), None)

    return await wait_for(found, what=f"an error about {field}")


async def test_an_event_typed_by_hand_opens_p1_and_cancelling_closes_it(broker, plain, house, tmp_path):
    async with controller(broker, plain, tmp_path):
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now", "duration": "PT1H"})
        await event_is(plain, "e1", "ongoing")
        await p1_goes(plain, on=False)
        command = p1_commands(plain)[-1]
        assert command["hold_s"] == 30
        assert "holding" in command["reason"]
        await wait_for(lambda: plain.on(f"{ROOT}/controller/state")[-1].json["mode_confirmed"] == 5, what="mode 5 to be confirmed")
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "action": "cancel"})
        await event_is(plain, "e1", "cancelled")
        await p1_goes(plain, on=True)


async def test_wishes_are_renewed_under_the_same_id(broker, plain, house, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "RENEW_S", 0.2)
    async with controller(broker, plain, tmp_path):
        await wait_for(lambda: len(p1_commands(plain)) >= 3)
        first, *rest = p1_commands(plain)
        assert {command["command_id"] for command in rest} == {first["command_id"]}
        assert rest[-1]["ts"] > first["ts"]


async def test_a_dead_output_closes_p1_at_once(broker, plain, house, tmp_path):
    async with controller(broker, plain, tmp_path):
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now"})
        await p1_goes(plain, on=False)
        house.ac_output_on = False
        await p1_goes(plain, on=True)

        def reasons():
            return [heard.json["reason"] for heard in plain.on(f"{ROOT}/controller/state")]

        await wait_for(lambda: any("P1 closed at once" in reason for reason in reasons()), what="the reason to be told")


async def test_killed_in_mid_event_it_goes_on_where_it_was(broker, plain, house, tmp_path):
    async with controller(broker, plain, tmp_path):
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now", "duration": "PT1H"})
        await event_is(plain, "e1", "ongoing")
        await p1_goes(plain, on=False)
    heard = len(p1_commands(plain))
    async with controller(broker, plain, tmp_path):
        await wait_for(lambda: len(p1_commands(plain)) > heard)
        await wait_for(lambda: plain.on(f"{ROOT}/controller/state")[-1].json["event_id"] == "e1")
        assert not any(command["on"] for command in p1_commands(plain)[heard:]), "the load was handed back and taken again"


async def test_a_repeat_changes_nothing_and_an_amendment_does(broker, plain, house, tmp_path):
    async with controller(broker, plain, tmp_path):
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now", "duration": "PT1H"})
        await event_is(plain, "e1", "ongoing")
        before = plain.on(f"{ROOT}/event/e1")[-1].json
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now", "duration": "PT3H"})
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now", "duration": "PT2H", "revision": 1})
        await wait_for(lambda: plain.on(f"{ROOT}/event/e1")[-1].json["revision"] == 1)
        after = plain.on(f"{ROOT}/event/e1")[-1].json
        assert after["start"] == before["start"]
        assert datetime.fromisoformat(after["end"]) > datetime.fromisoformat(before["end"])


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"duration": "PT1H"}, "start"),
        ({"start": "2020-01-01T00:00:00Z"}, "start"),
        ({"start": "soon"}, "start"),
        ({"start": 5}, "start"),
        ({"start": "now", "duration": "PT0S"}, "duration"),
        ({"start": "now", "duration": "-PT1H"}, "duration"),
        ({"start": "now", "duration": "P7D"}, "duration"),
        ({"start": "now", "colour": "red"}, "colour"),
        ({"start": "now", "action": "explode"}, "action"),
        ({"start": "now", "id": "command"}, "id"),
        ({"start": "now", "priority": "high"}, "priority"),
        ({"start": "now", "goal": {"kind": "pledge"}}, "goal"),
        ({"start": "now", "goal": {"kind": "pledge", "reduction_w": -5}}, "goal"),
        ({"action": "cancel", "id": "nobody"}, "id"),
        ({"start": "now", "methods": ["curtailment"]}, "methods"),
    ],
)
async def test_bad_commands_are_refused_by_field_and_the_next_good_one_is_obeyed(broker, plain, house, tmp_path, payload, field):
    async with controller(broker, plain, tmp_path):
        plain.publish(f"{ROOT}/event/command", payload)
        error = await error_about(plain, field)
        assert error["remedy"] or error["message"]
        plain.publish(f"{ROOT}/event/command", {"id": "good", "start": "now"})
        await event_is(plain, "good", "ongoing")


async def test_an_overlap_is_refused_to_its_sender_and_seen_on_its_topic(broker, plain, house, tmp_path):
    async with controller(broker, plain, tmp_path):
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now"})
        await event_is(plain, "e1", "ongoing")
        plain.publish(f"{ROOT}/event/command", {"id": "e2", "start": "now"})
        await event_is(plain, "e2", "refused")
        assert "overlaps event e1" in (await error_about(plain, "start"))["message"]


async def test_a_manual_mode_and_its_release(broker, plain, house, tmp_path):
    async with controller(broker, plain, tmp_path):
        plain.publish(f"{ROOT}/controller/override", {"mode": 5, "duration": "PT1H"})
        await p1_goes(plain, on=False)
        plain.publish(f"{ROOT}/controller/override", {"mode": 0})
        assert "P3" in (await error_about(plain, "mode"))["message"]
        plain.publish(f"{ROOT}/controller/override", {"mode": 2, "duration": "PT1H"})
        await p1_goes(plain, on=True)


async def test_a_full_disk_acknowledges_no_event_until_it_is_on_disk(broker, plain, house, tmp_path, monkeypatch):
    real, full = store.save, True

    def save(path, state):
        if full:
            raise OSError(28, "No space left on device")
        real(path, state)

    monkeypatch.setattr(store, "save", save)
    async with controller(broker, plain, tmp_path):
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now"})
        await wait_for(lambda: any("No space left" in h.json["message"] for h in plain.on(f"{ROOT}/service/controller/error")))
        assert not plain.on(f"{ROOT}/event/e1")
        full = False
        await event_is(plain, "e1", "ongoing")
