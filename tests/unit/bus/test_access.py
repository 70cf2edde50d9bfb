"""Least privilege, for every station that there may be."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from services.bus import access
from services.bus.access import HOME_ASSISTANT_CORE, USERS, matches, rights, rules
from services.bus.contract import CHANNELS, EACH_SERVICE, OPERATOR
from services.bus.runtime import load_station
from services.bus.topics import Topics, parameters
from services.cli import supervisor
from services.core.config.station import Station
from tests.support.sps import SHIPPED

BRIDGES = ("relay_bridge", "bluetti_bridge", "ina260_reader")
BASE = load_station(SHIPPED)
EXAMPLES = sorted((SHIPPED.parent / "examples").glob("*.yaml"))
LEVEL = st.text("abcp123_-.command", min_size=1, max_size=8)


@st.composite
def stations(draw: st.DrawFn) -> Station:
    """The shipped station with another name, clock and sensors, and with or without Home Assistant."""
    relay, by_station = BASE.positions.p1, BASE.positions.p3
    positions = BASE.positions.model_copy(
        update={
            "p3": draw(st.sampled_from([relay, by_station])),
            "p4": draw(st.sampled_from([BASE.positions.p4, by_station, None])),
        }
    )
    return BASE.model_copy(
        update={
            "station": draw(st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)),
            "clock": draw(st.sampled_from(["system", "simulated"])),
            "positions": positions,
            "home_assistant": BASE.home_assistant.model_copy(update={"enabled": draw(st.booleans())}),
        }
    )


@st.composite
def topics(draw: st.DrawFn, station: Station) -> str:
    """A topic of a channel of `station`, with any parameters."""
    channel = draw(st.sampled_from(CHANNELS))
    return Topics(station.station, CHANNELS).build(channel, {name: draw(LEVEL) for name in parameters(channel)})


@given(stations(), LEVEL, st.sampled_from(["relay", "load"]))
def test_only_the_controller_commands_relays_and_loads(station, name, kind) -> None:
    topic = f"sps/{station.station}/{kind}/{name}/command"
    assert [one.user for one in rights(station) if one.may_write(topic)] == ["controller"]


@given(stations(), st.data())
def test_an_operator_injects_events_and_modes_and_nothing_else(station, data) -> None:
    topic = data.draw(topics(station))
    (operator,) = [one for one in rights(station) if one.user == OPERATOR]
    root = f"sps/{station.station}/"
    assert operator.may_write(topic) == (topic in (f"{root}event/command", f"{root}controller/override"))
    assert operator.may_read(topic)


@given(stations(), st.sampled_from(["p1", "p2", "p3", "p4"]))
def test_a_position_is_told_by_one_bridge_at_most_and_by_nobody_else(station, position) -> None:
    for topic in (f"sps/{station.station}/position/{position}/reading", f"sps/{station.station}/relay/{position}/state"):
        tellers = [one.user for one in rights(station) if one.may_write(topic)]
        assert len(tellers) <= 1
        assert set(tellers) <= set(BRIDGES)


@given(stations())
def test_each_position_that_there_is_has_its_teller(station) -> None:
    measured = [name for name in ("p1", "p2", "p3", "p4") if getattr(station.positions, name) is not None]
    everybody = rights(station)
    for topic in [f"position/{p}/reading" for p in measured] + [f"relay/{p}/state" for p in station.positions.switched()]:
        assert any(one.may_write(f"sps/{station.station}/{topic}") for one in everybody), topic


@given(stations(), st.data())
def test_nobody_speaks_for_another_service(station, data) -> None:
    name = data.draw(st.sampled_from([*access.SERVICES, "cli", "made-up"]))
    for word in ("status", "error"):
        speakers = [one.user for one in rights(station) if one.may_write(f"sps/{station.station}/service/{name}/{word}")]
        assert speakers in ([], [name])


@given(stations(), st.data())
def test_nobody_reaches_another_station(station, data) -> None:
    other = BASE.model_copy(update={"station": f"{station.station[:31]}x"})
    if other.station == station.station:
        return
    topic = data.draw(topics(other))
    assert not [one.user for one in rights(station) if one.may_read(topic) or one.may_write(topic)]


@given(stations())
def test_who_is_not_used_may_do_nothing(station) -> None:
    idle = {one.user for one in rights(station) if not one.reads and not one.writes}
    assert ("simulator" in idle) == (station.clock == "system")
    assert {"home_assistant", HOME_ASSISTANT_CORE} & idle == (
        set() if station.home_assistant.enabled else {"home_assistant", HOME_ASSISTANT_CORE}
    )
    assert not {"controller", "recorder", "gateway", "relay_bridge", OPERATOR} & idle
    assert [one.user for one in rights(station)] == list(USERS)
    assert all(f"user {user}\n" not in rules(rights(station)) for user in idle)


@given(stations())
def test_each_service_that_a_station_runs_may_say_how_it_is(station) -> None:
    allowed = {one.user: one for one in rights(station)}
    for name in supervisor.wanted(station):
        assert allowed[name].may_write(f"sps/{station.station}/service/{name}/status")
    assert {*supervisor.SERVICES, "simulator"} == set(access.SERVICES)


@pytest.mark.parametrize("file", [SHIPPED, *EXAMPLES], ids=lambda file: file.stem)
def test_each_publisher_in_the_contract_may_publish_in_every_example(file) -> None:
    station = load_station(file)
    everybody = {one.user: one for one in rights(station)}
    for channel in CHANNELS:
        assert set(channel.publishers) <= {*USERS, EACH_SERVICE}, f"{channel.pattern}: {channel.publisher} is no list of users"
    assert everybody["controller"].may_write(f"sps/{station.station}/relay/p1/command")


@given(
    st.lists(st.sampled_from(["a", "b", "+", "event"]), min_size=1, max_size=4),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b", "event", "$x"]), min_size=1, max_size=5),
)
def test_filters_match_as_a_client_library_says(pattern, deep, topic) -> None:
    text = "/".join([*pattern, "#"] if deep else pattern)
    assert matches(text, "/".join(topic)) == topic_matches_sub(text, "/".join(topic))


def test_the_rules_are_what_mosquitto_reads() -> None:
    lines = rules(rights(BASE)).splitlines()
    assert all(line.startswith(("#", "user ", "topic read ", "topic write ", "topic readwrite ")) or not line for line in lines)
    blocks = [block.splitlines()[0] for block in rules(rights(BASE)).split("\n\n")[1:]]
    assert len(set(blocks)) == len(blocks)
    for one, topic in product(rights(BASE), ("#", "+", "sps/#", "sps/+/#")):
        assert topic not in (*one.reads, *one.writes)
