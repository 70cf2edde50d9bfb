"""A deferrable load's relay: its dead-man gives it its power back, and a hand at the device always wins. Real bridge, broker and device."""

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from services.core.config.loads import DeferrableLoad
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import shelly
from tests.unit.relay_bridge.running import TIMER_S, bridge, house

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)


class Washer:
    def __init__(self, served, device):
        self.served, self.device, self.wishes = served, device, 0

    def command(self, on, *, hold_s=30.0, command_id=None):
        self.wishes += command_id is None
        command_id = command_id or f"wish-{self.wishes}"
        body = {"ts": datetime.now(UTC).isoformat(), "on": on, "command_id": command_id, "hold_s": hold_s, "reason": "test"}
        self.served.plain.publish("sps/demo/load/washer/command", body, qos=0)
        return command_id

    def state(self):
        heard = self.served.plain.on("sps/demo/load/washer/state")
        return heard[-1].json if heard else {}

    async def says(self, within_s=5.0, **wanted):
        await wait_for(
            lambda: all(self.state().get(k, "absent") == v for k, v in wanted.items()), within_s, what=f"{wanted} {self.state()}"
        )
        return self.state()

    async def polled(self, times=5):
        """After some more polls."""
        topic = "sps/demo/load/washer/reading"
        heard = len(self.served.plain.on(topic))
        await wait_for(lambda: len(self.served.plain.on(topic)) >= heard + times, what="readings of the washer")


@contextlib.asynccontextmanager
async def bridgeless(broker, folder):
    async with house(broker, folder) as served, shelly(on=True, name="washer") as device:
        load = DeferrableLoad.model_validate(device.configured(0.5).model_dump())
        served.station = served.station.model_copy(update={"loads": {"washer": load}})
        yield Washer(served, device)


@contextlib.asynccontextmanager
async def washer(broker, folder):
    async with bridgeless(broker, folder) as one, bridge(one.served):
        await one.says(on=True)
        yield one


async def test_a_load_is_switched_with_its_own_timer_and_gets_its_power_back_when_nobody_renews(broker, tmp_path):
    async with washer(broker, tmp_path) as one:
        wish = one.command(on=False, hold_s=1.0)
        state = await one.says(on=False, command_id=wish)
        assert state["timer_s"] == pytest.approx(TIMER_S, abs=0.5)
        for _ in range(4):
            await asyncio.sleep(0.5)
            one.command(on=False, hold_s=1.0, command_id=wish)
        assert not one.device.load.closed, "renewed, it is held"
        await one.says(on=True, within_s=TIMER_S)
        assert one.device.load.closed


async def test_switched_on_by_hand_it_stays_on_however_often_the_wish_is_renewed(broker, tmp_path):
    async with washer(broker, tmp_path) as one:
        wish = one.command(on=False)
        await one.says(on=False, command_id=wish)
        one.device.switch.press()
        await one.says(on=True, by_hand=True, fault=None)
        for _ in range(3):
            one.command(on=False, command_id=wish)
            await one.polled()
        assert [closed for closed, _ in one.device.load.moves] == [True, False, True], "nobody fought over it"


async def test_switched_off_by_hand_it_stays_off_through_a_restart_of_the_bridge_too(broker, tmp_path):
    async with bridgeless(broker, tmp_path) as one:
        async with bridge(one.served):
            await one.says(on=True)
            one.device.switch.press()
            await one.says(on=False, by_hand=False, fault=None)
            await one.polled()
        assert not one.device.load.closed, "not even the bridge's goodbye switches it"
        async with bridge(one.served):
            await one.polled(10)
        assert not one.device.load.closed


async def test_stopped_on_purpose_the_bridge_gives_back_what_it_holds_off(broker, tmp_path):
    async with washer(broker, tmp_path) as one:
        wish = one.command(on=False)
        await one.says(on=False, command_id=wish)
    assert one.device.load.closed


async def test_a_load_that_is_not_configured_is_named_and_its_kind_too(broker, tmp_path):
    async with washer(broker, tmp_path) as one:
        body = {"ts": datetime.now(UTC).isoformat(), "on": False, "command_id": "x", "hold_s": 30}
        one.served.plain.publish("sps/demo/load/p1/command", body, qos=0)
        await wait_for(lambda: [e for e in one.served.errors() if e["field"] == "load" and e["value"] == "p1" and "washer" in e["remedy"]])
        assert one.served.p1.load.closed, "P1 is no deferrable load"
