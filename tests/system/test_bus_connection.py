"""The bus lives through what happens to brokers, services and clocks."""

import asyncio
import contextlib
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from services.bus.client import Bus
from services.bus.clock import FollowedClock, SystemClock
from services.bus.connection import Connection
from services.bus.contract import CLOCK, CONTROLLER_STATE, EVENT, EVENT_COMMAND, POSITION_READING
from services.bus.examples import example
from services.bus.link_options import LinkOptions
from services.bus.messages.events import EventCommand
from services.bus.messages.state import ClockMessage, ControllerState
from services.bus.outbox import Outgoing
from tests.support.brokers import HOST, KillableMosquitto
from tests.support.hesitant import hesitant
from tests.support.plain_client import PlainClient
from tests.support.waiting import wait_for, wait_until

STATE = "sps/demo/controller/state"
STATUS = "sps/demo/service/controller/status"
COMMAND = "sps/demo/event/command"


def controller_state(reason: str) -> ControllerState:
    return example(CONTROLLER_STATE).model_copy(update={"reason": reason})  # type: ignore[return-value]


async def test_a_service_starts_before_its_broker(broker, make_bus) -> None:
    broker.stop()
    async with make_bus() as bus:
        bus.publish(CONTROLLER_STATE, controller_state("queued"))
        assert not bus.connected
        broker.start()
        await bus.wait_connected()
        with PlainClient(broker.host, broker.port) as plain:
            await wait_for(lambda: plain.on(STATE))
            assert plain.on(STATE)[0].json["reason"] == "queued"


async def test_a_service_counts_as_connected_only_once_its_subscriptions_hold(broker, plain) -> None:
    heard = []
    async with hesitant((broker.host, broker.port)) as line:
        bus = Bus("demo", "recorder", (HOST, line.port), clock=SystemClock(), jitter=random.Random(1))
        bus.subscribe(POSITION_READING, heard.append)
        async with bus:
            await wait_for(lambda: line.held, what="the subscriptions to be on their way")
            assert not bus.connected, "what is said now does not reach it"
            line.let_go.set()
            await bus.wait_connected()
            plain.publish("sps/demo/position/p1/reading", example(POSITION_READING).model_dump_json(), qos=0)
            await wait_for(lambda: heard)


async def test_who_leaves_before_its_subscriptions_hold_says_goodbye(broker, plain) -> None:
    async with hesitant((broker.host, broker.port)) as line:
        async with Bus("demo", "recorder", (HOST, line.port), clock=SystemClock(), jitter=random.Random(1)):
            await wait_for(lambda: line.held)
            line.let_go.set()
        await wait_for(lambda: plain.on("sps/demo/service/recorder/status"))
        await wait_for(lambda: plain.on("sps/demo/service/recorder/status")[-1].json["state"] == "offline")


async def test_what_was_published_during_an_outage_arrives_in_order_and_only_its_newest_state(broker, make_bus) -> None:
    heard = []
    async with make_bus() as bus, make_bus("recorder") as reader:
        reader.subscribe(EVENT_COMMAND, heard.append)
        reader.subscribe(POSITION_READING, heard.append)
        await bus.wait_connected()
        await asyncio.to_thread(broker.stop)  # beside our loop: clients that do not read would hold up the embedded one
        await wait_for(lambda: not bus.connected and not reader.connected)
        for n in range(3):
            bus.publish(CONTROLLER_STATE, controller_state(f"state {n}"))
            bus.publish(EVENT_COMMAND, EventCommand(start="now", id=f"e{n}"))
            bus.publish(POSITION_READING, example(POSITION_READING), position="p1")
        broker.start()
        with PlainClient(broker.host, broker.port) as plain:
            await wait_for(lambda: len(plain.on(COMMAND)) >= 3, 10)
            assert [h.json["id"] for h in plain.on(COMMAND)] == ["e0", "e1", "e2"]
            assert {h.json["reason"] for h in plain.on(STATE)} == {"state 2"}
            assert not plain.on("sps/demo/position/p1/reading"), "an old reading is no longer true"
            # Subscriptions are back too.
            await reader.wait_connected()
            heard.clear()
            plain.publish(COMMAND, '{"start":"16:00"}')
            await wait_for(lambda: heard)


async def test_the_last_will_tells_of_a_killed_service(broker, plain) -> None:
    program = (
        "import asyncio, random, sys\nfrom services.bus.client import Bus\nfrom services.bus.clock import SystemClock\n"
        "async def main():\n"
        "    bus = Bus('demo', 'controller', ('127.0.0.1', int(sys.argv[1])), clock=SystemClock(), jitter=random.Random())\n"
        "    async with bus:\n        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    service = subprocess.Popen([sys.executable, "-c", program, str(broker.port)])  # noqa: ASYNC220 - it is at once
    try:
        online = (await wait_for(lambda: plain.on(STATUS), 15))[0].json
        assert (online["state"], online["health"]) == ("online", "ok")
    finally:
        service.kill()
        service.wait()
    await wait_for(lambda: len(plain.on(STATUS)) >= 2)
    assert plain.on(STATUS)[-1].json["state"] == "offline"
    with PlainClient(broker.host, broker.port) as newcomer:
        await wait_for(lambda: newcomer.on(STATUS))
        assert newcomer.on(STATUS)[0].json["state"] == "offline"


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)  # amqtt does not end the connection, see below
@pytest.mark.parametrize("withheld_while", ["its files are read", "it connects"])
async def test_a_last_will_that_was_withheld_meanwhile_is_not_given_to_the_broker(withheld_while, broker, plain) -> None:
    allowed = True

    def options() -> LinkOptions:
        nonlocal allowed
        allowed = allowed and withheld_while != "its files are read"
        return LinkOptions()

    def will() -> Outgoing | None:
        nonlocal allowed
        given, allowed = allowed, False
        return Outgoing("will", b"gone", 1, False) if given else None

    connection = Connection(
        (broker.host, broker.port),
        "somebody",
        clock=SystemClock(),
        jitter=random.Random(1),
        will=will,
        on_connected=lambda: None,
        on_message=lambda *_: None,
        options=options,
    )
    task = asyncio.create_task(connection.run())
    try:
        await wait_for(connection.up.is_set)
        assert not connection.will_outdated
        # Somebody else by its name: the broker ends our connection and publishes the last will that it has, if any.
        with PlainClient(broker.host, broker.port, client_id="somebody"):
            await wait_for(lambda: not connection.up.is_set())
        plain.publish("after", "")
        await wait_for(lambda: plain.on("after"))
        assert not plain.on("will")
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_status_tells_health_and_a_clean_end(plain, make_bus) -> None:
    def told() -> list[tuple[str, str, str]]:
        return [(h.json["state"], h.json["health"], h.json["detail"]) for h in plain.on(STATUS)]

    async with make_bus() as bus:
        await wait_for(lambda: len(told()) == 1)
        bus.health("P1 does not answer")
        bus.health("P1 does not answer")
        await wait_for(lambda: len(told()) == 2)
        bus.health(None)
        await wait_for(lambda: len(told()) == 3)
    await wait_for(lambda: len(told()) == 4)
    assert told() == [("online", "ok", ""), ("online", "degraded", "P1 does not answer"), ("online", "ok", ""), ("offline", "ok", "")]
    assert len({h.json["since"] for h in plain.on(STATUS)}) == 1


async def test_what_was_published_last_is_delivered_before_leaving(plain, make_bus) -> None:
    async with make_bus() as bus:
        await bus.wait_connected()
        for n in range(100):
            bus.publish(EVENT_COMMAND, EventCommand(start="now", id=f"e{n}"))
    await wait_for(lambda: len(plain.on(COMMAND)) == 100)


async def test_a_password_that_the_broker_does_not_ask_for_does_no_harm(broker, plain) -> None:
    known = LinkOptions(user="controller", password="secret")
    address = (broker.host, broker.port)
    async with Bus("demo", "controller", address, clock=SystemClock(), jitter=random.Random(1), options=lambda: known) as bus:
        await bus.wait_connected()
        await wait_for(lambda: plain.on(STATUS))


async def test_a_service_leaves_at_once_when_there_is_no_broker(broker, make_bus) -> None:
    broker.stop()
    async with asyncio.timeout(1):
        async with make_bus() as bus:
            bus.publish(CONTROLLER_STATE, controller_state("nobody hears it"))


# amqtt lets the old one live on, deaf; it serves one machine, where no connection dies unnoticed.
@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
async def test_a_stale_connection_gives_way_to_the_new_one_of_the_same_service(broker, plain, make_bus) -> None:
    async with make_bus() as stale:
        await stale.wait_connected()
        async with make_bus() as fresh:
            await fresh.wait_connected()
            await wait_for(lambda: not stale.connected)
            assert fresh.connected


async def test_station_time_is_followed_and_its_change_too(plain, make_bus) -> None:
    wall = datetime(2027, 7, 1, 12, 0, tzinfo=UTC)
    clock = FollowedClock(wall=lambda: wall)
    async with make_bus("recorder", clock) as bus:
        waiting = asyncio.create_task(bus.wait_clock())
        await bus.wait_connected()
        assert not waiting.done()
        station = wall + timedelta(days=10)
        told = ClockMessage(ts=station, epoch_wall=wall, epoch_station=station, speed=60)
        plain.publish("sps/demo/clock", told.model_dump_json(), retain=True)
        await asyncio.wait_for(waiting, 5)
        assert clock.now() == station
        assert clock.speed == 60
        plain.publish("sps/demo/clock", told.model_copy(update={"speed": 1.0}).model_dump_json(), retain=True)
        await wait_for(lambda: clock.speed == 1)
        await wait_for(lambda: plain.on("sps/demo/service/recorder/status")[-1].json["since"] == "2027-07-11T12:00:00.000Z")


async def test_the_simulator_does_not_follow_its_own_old_clock(plain, make_bus) -> None:
    plain.publish("sps/demo/clock", example(CLOCK).model_dump_json(), retain=True)
    clock = FollowedClock()
    heard = []
    async with make_bus("simulator", clock) as bus:
        bus.subscribe(EVENT, heard.append)
        await bus.wait_connected()
        plain.publish("sps/demo/event/e1", example(EVENT).model_dump_json())
        await wait_for(lambda: heard)
        assert not clock.known


async def test_the_wait_for_the_clock_says_what_is_missing(caplog, monkeypatch) -> None:
    monkeypatch.setattr("services.bus.client.CLOCK_NOTICE_S", 0.0)
    for clock, words in (
        (FollowedClock(), "the broker"),
        (SystemClock(wall=lambda: datetime(1970, 1, 1, tzinfo=UTC)), "time synchronisation"),
    ):
        bus = Bus("demo", "recorder", (HOST, 1), clock=clock, jitter=random.Random(1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bus.wait_clock(), 0.15)
        assert words in caplog.text


async def test_a_killed_broker_gets_back_what_belongs_on_its_retained_topics(tmp_path) -> None:
    mosquitto = KillableMosquitto(tmp_path)
    await mosquitto.start()
    address = (mosquitto.host, mosquitto.port)
    try:
        async with Bus("demo", "controller", address, clock=SystemClock(), jitter=random.Random(1)) as bus:
            await bus.wait_connected()
            bus.publish(EVENT, example(EVENT), event_id="kept")
            bus.publish(EVENT, example(EVENT), event_id="gone")
            await asyncio.to_thread(mosquitto.save)
            bus.publish(CONTROLLER_STATE, controller_state("the newest"))
            bus.clear(EVENT, event_id="gone")
            with PlainClient(*address) as plain:
                await wait_for(lambda: plain.on(STATE))
            await mosquitto.kill()
            await wait_for(lambda: not bus.connected)
            await mosquitto.start()
            await bus.wait_connected()
            await wait_for(lambda: retained(address) == {STATE, STATUS, "sps/demo/event/kept"})
    finally:
        await mosquitto.stop()


def retained(address: tuple[str, int]) -> set[str]:
    with PlainClient(*address) as newcomer:
        wait_until(lambda: newcomer.on(STATUS))
        newcomer.publish("sps/demo/last", "x")
        wait_until(lambda: newcomer.on("sps/demo/last"))
        return {heard.topic for heard in newcomer.heard if heard.retained}


async def test_what_is_retained_outlives_a_restart_of_either_broker(broker) -> None:
    with PlainClient(broker.host, broker.port, subscribe=None) as plain:
        plain.publish(STATE, "kept", retain=True)
        plain.publish("sps/demo/event/gone", "x", retain=True)
        plain.publish("sps/demo/event/gone", b"", retain=True)
    broker.stop()
    broker.start()
    with PlainClient(broker.host, broker.port) as newcomer:
        await wait_for(lambda: newcomer.on(STATE))
        assert newcomer.on(STATE)[0].payload == b"kept"
        assert not newcomer.on("sps/demo/event/gone")
