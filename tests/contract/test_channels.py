"""The contract holds for a bare MQTT 3.1.1 client, on both brokers."""

import json

import pytest

from services.bus.contract import CHANNELS, EVENT, EVENT_COMMAND, OVERRIDE, POSITION_READING, PREFERENCES, RELAY_COMMAND, RELAY_STATE
from services.bus.examples import example, example_parameters
from services.bus.messages.devices import PositionReading
from services.bus.messages.events import EventCommand
from services.bus.topics import Topics, parameters
from tests.support.plain_client import PlainClient
from tests.support.waiting import wait_for

COMMAND = "sps/demo/event/command"
ERROR = "sps/demo/service/controller/error"
TOPICS = Topics("demo", CHANNELS)


@pytest.fixture
def heard():
    """What the handlers were given."""
    return []


async def test_each_channel_is_read_from_a_bare_client(broker, plain, make_bus, heard) -> None:
    async with make_bus() as bus:
        for channel in CHANNELS:
            bus.subscribe(channel, heard.append)
        await bus.wait_connected()
        for channel in CHANNELS:
            params = example_parameters(parameters(channel))
            topic = TOPICS.build(channel, params)
            heard.clear()
            plain.publish(topic, example(channel).model_dump_json(), qos=channel.qos, retain=channel.retain)
            await wait_for(lambda: [r for r in heard if r.topic == topic], what=topic)  # noqa: B023
            received = next(r for r in heard if r.topic == topic)
            assert received.message == example(channel)
            assert received.params == params
            assert not received.retained


async def test_each_channel_reaches_a_bare_client_and_newcomers_get_what_is_retained(broker, plain, make_bus) -> None:
    async with make_bus("gateway") as bus:
        await bus.wait_connected()
        for channel in CHANNELS:
            bus.publish(channel, example(channel), **example_parameters(parameters(channel)))
        topics = {TOPICS.build(c, example_parameters(parameters(c))): c for c in CHANNELS}
        for topic, channel in topics.items():
            found = await wait_for(lambda: plain.on(topic), what=topic)  # noqa: B023
            assert found[0].json == json.loads(example(channel).model_dump_json())
            assert not found[0].retained
        with PlainClient(broker.host, broker.port) as newcomer:
            retained = {topic for topic, c in topics.items() if c.retain}
            await wait_for(lambda: retained <= {h.topic for h in newcomer.heard})
            assert {h.topic for h in newcomer.heard if not h.topic.startswith("$")} <= retained | {"sps/demo/service/gateway/status"}
            assert all(h.retained for h in newcomer.heard)


async def test_the_least_a_person_can_type_is_an_event(plain, make_bus, heard) -> None:
    async with make_bus() as bus:
        bus.subscribe(EVENT_COMMAND, heard.append)
        await bus.wait_connected()
        plain.publish(COMMAND, '{"start":"now"}')
        await wait_for(lambda: heard)
        assert heard[0].message == EventCommand(start="now")


async def test_who_asks_for_events_gets_no_commands(plain, make_bus, heard) -> None:
    async with make_bus() as bus:
        bus.subscribe(EVENT, heard.append)
        await bus.wait_connected()
        plain.publish(COMMAND, '{"start":"now"}')
        plain.publish("sps/demo/event/e1", example(EVENT).model_dump_json())
        await wait_for(lambda: heard)
        assert [r.topic for r in heard] == ["sps/demo/event/e1"]
        assert not plain.on(ERROR)


async def test_a_retained_command_is_dropped_and_said_so(plain, make_bus, heard) -> None:
    plain.publish(COMMAND, '{"start":"now"}', retain=True)
    async with make_bus() as bus:
        bus.subscribe(EVENT_COMMAND, heard.append)
        error = (await wait_for(lambda: plain.on(ERROR)))[0].json
        assert error["topic"] == COMMAND
        assert error["field"] == "retain"
        assert f"mosquitto_pub -r -n -t {COMMAND}" in error["remedy"]
        plain.publish(COMMAND, b"", retain=True)  # the remedy itself is no command, and no error
        plain.publish(COMMAND, '{"start":"16:00"}')
        await wait_for(lambda: heard)
        assert [r.message.start for r in heard] == ["16:00"]
        assert len(plain.on(ERROR)) == 1


@pytest.mark.parametrize("channel", [EVENT_COMMAND, RELAY_COMMAND, OVERRIDE], ids=lambda c: c.pattern)
async def test_identical_bytes_are_one_command(plain, make_bus, heard, channel) -> None:
    topic = TOPICS.build(channel, example_parameters(parameters(channel)))
    other = json.dumps(example(channel).model_dump(mode="json"), indent=1)
    async with make_bus() as bus:
        bus.subscribe(channel, heard.append)
        await bus.wait_connected()
        for _ in range(3):
            plain.publish(topic, example(channel).model_dump_json())
        plain.publish(topic, other)
        await wait_for(lambda: len(heard) >= 2)
        assert len(heard) == 2


GARBAGE = [
    (b"no json", None),
    (b"\xc3\x28", None),
    (b"x" * 1_000_000, None),
    (b"{}", "start"),
    (b'{"start":"now","begin":1}', "begin"),
    (b'{"start":["now"]}', "start"),
    (b'{"start":"now","action":"explode"}', "action"),
]


async def test_garbage_is_answered_and_disturbs_nothing(plain, make_bus, heard) -> None:
    async with make_bus() as bus:
        bus.subscribe(EVENT_COMMAND, heard.append)
        await bus.wait_connected()
        for payload, _ in GARBAGE:
            plain.publish(COMMAND, payload)
        plain.publish(COMMAND, '{"start":"now"}')
        await wait_for(lambda: heard)
        await wait_for(lambda: len(plain.on(ERROR)) >= 4)
        errors = [h.json for h in plain.on(ERROR)]
        # Of the three that name no field only the first is told at once: the same kind of error.
        assert [e["field"] for e in errors] == [None, "start", "begin", "action"]
        assert all(e["topic"] == COMMAND and e["remedy"] and len(e["value"] or "") <= 80 for e in errors)


@pytest.mark.parametrize(
    ("payload", "words"), [(b"no json", "JSON"), (b"\xc3\x28", "UTF-8"), (b"x" * 1_000_000, "1000000 bytes")], ids=["text", "bytes", "1 MB"]
)
async def test_a_payload_that_is_no_message_at_all_is_answered(plain, make_bus, heard, payload, words) -> None:
    async with make_bus() as bus:
        bus.subscribe(EVENT_COMMAND, heard.append)
        await bus.wait_connected()
        plain.publish(COMMAND, payload)
        error = (await wait_for(lambda: plain.on(ERROR)))[0].json
        assert words in error["remedy"]
        assert not heard


async def test_a_bad_reading_is_refused_and_the_next_good_one_is_heard(plain, make_bus, heard) -> None:
    async with make_bus() as bus:
        bus.subscribe(POSITION_READING, heard.append)
        await bus.wait_connected()
        topic = "sps/demo/position/p1/reading"
        plain.publish(topic, '{"ts":"2027-01-01T00:00:00Z","power_w":"a lot","device":"x"}', qos=0)
        plain.publish(topic, '{"ts":"2027-01-01T00:00:00Z","power_w":12.5,"device":"x"}', qos=0)
        await wait_for(lambda: heard)
        assert heard[0].message.power_w == 12.5
        error = (await wait_for(lambda: plain.on(ERROR)))[0].json
        assert (error["field"], error["value"]) == ("power_w", "'a lot'")


async def test_a_handler_that_fails_disturbs_nobody(plain, make_bus, heard, caplog) -> None:
    def broken(_received) -> None:
        raise RuntimeError("a defect")

    async with make_bus() as bus:
        bus.subscribe(POSITION_READING, broken)
        bus.subscribe(POSITION_READING, heard.append)
        await bus.wait_connected()
        for _ in range(2):
            plain.publish("sps/demo/position/p1/reading", example(POSITION_READING).model_dump_json(), qos=0)
        await wait_for(lambda: len(heard) == 2)
        assert "a defect" in caplog.text


async def test_a_reading_that_somebody_retained_does_not_come_back_as_new(plain, make_bus, heard) -> None:
    topic = "sps/demo/position/p1/reading"
    plain.publish(topic, example(POSITION_READING).model_dump_json(), retain=True)
    await wait_for(lambda: plain.on(topic))
    async with make_bus() as bus:
        bus.subscribe(POSITION_READING, heard.append)
        await bus.wait_connected()
        live = example(POSITION_READING).model_copy(update={"power_w": 1.0})
        plain.publish(topic, live.model_dump_json())
        await wait_for(lambda: heard)
        assert [received.message for received in heard] == [live]


async def test_a_retained_topic_can_be_emptied(broker, plain, make_bus, heard) -> None:
    cleared = []
    async with make_bus("relay_bridge") as owner, make_bus() as reader:
        reader.subscribe(RELAY_STATE, heard.append, cleared=lambda params: cleared.append(dict(params)))
        await reader.wait_connected()
        owner.publish(RELAY_STATE, example(RELAY_STATE), position="p1")
        await wait_for(lambda: heard)
        owner.clear(RELAY_STATE, position="p1")
        await wait_for(lambda: cleared)
        assert cleared == [{"position": "p1"}]
        with PlainClient(broker.host, broker.port, subscribe="sps/demo/relay/#") as newcomer:
            newcomer.publish("sps/demo/relay/p9/state", "marker", qos=1)
            await wait_for(lambda: newcomer.on("sps/demo/relay/p9/state"))
            assert not newcomer.on("sps/demo/relay/p1/state")


async def test_a_subscription_made_late_still_gets_what_is_retained(plain, make_bus, heard) -> None:
    plain.publish("sps/demo/preferences", example(PREFERENCES).model_dump_json(), retain=True)
    async with make_bus() as bus:
        await bus.wait_connected()
        bus.subscribe(PREFERENCES, heard.append)
        await wait_for(lambda: heard)
        assert heard[0].retained


async def test_a_message_of_another_channel_is_a_programming_error(make_bus) -> None:
    reading = example(POSITION_READING)
    assert isinstance(reading, PositionReading)
    async with make_bus() as bus:
        with pytest.raises(TypeError, match="EventMessage"):
            bus.publish(EVENT, reading, event_id="e1")  # type: ignore[misc, arg-type, unused-ignore]
        with pytest.raises(ValueError, match="position"):
            bus.publish(POSITION_READING, reading)
        with pytest.raises(ValueError, match="not retained"):
            bus.clear(POSITION_READING, position="p1")
