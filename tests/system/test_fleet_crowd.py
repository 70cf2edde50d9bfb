"""A crowd of light stations against a real broker and a real aggregator: what it reports agrees with what it did."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import select

from services.aggregator.calling import Typed
from services.aggregator.store.schema import record
from services.bus.clock import SystemClock
from services.simulator.fleet.crowd import Credentials, Crowd
from services.simulator.fleet.home import Span
from services.simulator.fleet.memory import recall
from services.simulator.fleet.play import Play, play
from services.simulator.fleet.records import hours
from tests.support.aggregator import NETWORK, aggregator
from tests.support.brokers import TestBroker
from tests.support.plain_client import PlainClient
from tests.support.waiting import wait_for

EVENT, ANSWER = f"dr/{NETWORK}/event", f"dr/{NETWORK}/station/house-1/answer"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[TestBroker]:
    one = TestBroker("mosquitto", tmp_path)
    one.start()
    yield one
    one.close()


@asynccontextmanager
async def crowd_at(broker: TestBroker) -> AsyncIterator[Crowd]:
    """One station that believes unsigned events."""
    made = Crowd([Credentials("house-1", "", "")], NETWORK, (broker.host, broker.port), {}, SystemClock(), random=random.Random(1))
    await made.connect()
    try:
        yield made
    finally:
        await made.close()


def event(start: datetime, duration: str = "PT1H", **more: object) -> dict[str, object]:
    return {"v": 1, "id": "one", "start": start.isoformat(), "duration": duration, "ts": datetime.now(UTC).isoformat()} | more


async def test_hours_that_end_in_a_running_event_tell_of_it_and_a_cancellation_ends_it_there(broker: TestBroker) -> None:
    start = datetime.now(UTC) - timedelta(minutes=90)
    hour = start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    with PlainClient(broker.host, broker.port) as client:
        async with crowd_at(broker) as crowd:
            station = crowd.stations[0]
            client.publish(EVENT, event(start, "PT4H"))
            await wait_for(lambda: station.spans, what="the event")
            assert station.spans == {"one": Span(start, start + timedelta(hours=4))}
            before = hours(station.home, [hour], tuple(station.spans.values()))
            assert before[0].p3_wh
            cancelled = datetime.now(UTC)
            client.publish(EVENT, event(start, action="cancel", revision=1))
            await wait_for(lambda: station.spans["one"].end < start + timedelta(hours=4), what="the cancellation")
            assert cancelled <= station.spans["one"].end <= datetime.now(UTC)
            if hour + timedelta(hours=1) <= cancelled:
                assert hours(station.home, [hour], tuple(station.spans.values())) == before


async def test_an_event_that_is_cancelled_before_it_starts_leaves_nothing(broker: TestBroker) -> None:
    start = datetime.now(UTC) + timedelta(hours=2)
    with PlainClient(broker.host, broker.port) as client:
        async with crowd_at(broker) as crowd:
            client.publish(EVENT, event(start))
            await wait_for(lambda: crowd.stations[0].spans, what="the event")
            client.publish(EVENT, event(start, action="cancel", revision=1))
            await wait_for(lambda: not crowd.stations[0].spans, what="the cancellation")


async def test_a_station_that_leaves_in_an_event_gives_no_more(broker: TestBroker) -> None:
    start = datetime.now(UTC)
    with PlainClient(broker.host, broker.port) as client:
        async with crowd_at(broker) as crowd:
            client.publish(EVENT, event(start))
            await wait_for(lambda: crowd.stations[0].spans, what="the event")
    assert crowd.stations[0].spans["one"].end <= datetime.now(UTC)


async def test_an_answer_that_is_due_while_the_line_is_down_is_given_when_it_is_up_again(broker: TestBroker) -> None:
    async with crowd_at(broker) as crowd:
        station = crowd.stations[0]
        with PlainClient(broker.host, broker.port) as client:
            client.publish(EVENT, event(datetime.now(UTC), "PT3S"))
            await wait_for(lambda: client.on(ANSWER), what="the first answer")
            assert client.on(ANSWER)[0].json["status"] == "ongoing"
            broker.stop()
        await wait_for(lambda: b"completed" in station.answers["one"][1], what="the end of the event")
        assert not station.ready
        broker.start()
        await wait_for(lambda: station.ready, 30, what="the station")
        with PlainClient(broker.host, broker.port) as client:
            # Whatever it said before anybody could hear it, it says again when it comes back once more.
            rival = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"sps-{NETWORK}-house-1", protocol=mqtt.MQTTv311)
            rival.connect(broker.host, broker.port)
            rival.loop_start()
            await wait_for(lambda: client.on(ANSWER), 30, what="the last answer")
            rival.loop_stop()
            assert client.on(ANSWER)[-1].json["status"] == "completed"


async def test_a_second_run_sends_no_hour_again_and_knows_what_was_played(tmp_path: Path) -> None:
    with aggregator(tmp_path) as one:
        station = one.enrol("fleet-00001")
        plan = Play(
            [Credentials(station.name, station.mqtt, station.http)],
            NETWORK,
            ("127.0.0.1", one.file.broker.port),
            one.url,
            {one.file.key_id: one.context.public_key()},
            history_hours=3,
            memory=tmp_path / "fleet.json",
        )

        def stored() -> dict[str, datetime]:
            rows = one.read(lambda connection: connection.execute(select(record.c.key, record.c.received_at)).all())
            return {row.key: row.received_at for row in rows}

        def sent(said: list[str]) -> bool:
            return any(", 0 uploads wait" in line for line in said)

        async def run(plan: Play, event_id: str | None = None) -> None:
            said: list[str] = []
            running = asyncio.create_task(play(plan, said.append))
            await wait_for(lambda: sent(said), 30, what="the hours")
            if event_id is not None:
                one.desk.call(Typed("now", "PT2S"), event_id)
                await wait_for(lambda: event_id in stored(), 30, what="the settlement")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        await run(plan, "short")
        first = stored()
        assert len(first) >= 4
        done = recall(tmp_path / "fleet.json", NETWORK)["fleet-00001"]
        assert done.sent_until == max(datetime.fromisoformat(key) for key in first if key != "short") + timedelta(hours=1)
        assert list(done.spans) == ["short"]
        # Other hours are another batch, so that it is not the idempotency key that keeps them out.
        await run(replace(plan, history_hours=5))
        again = stored()
        assert {key: again[key] for key in first} == first
