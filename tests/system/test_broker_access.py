"""Who may do what on the broker, by what arrives: every user and every topic, both ways, on Mosquitto with the shipped configuration."""

from contextlib import ExitStack

import pytest

from services.bus import access
from services.bus.contract import CHANNELS, HOME_ASSISTANT_MODE
from services.bus.examples import example_parameters
from services.bus.topics import Topics, parameters
from tests.support.guarded import UserClient, guarded
from tests.support.house import simulated_station

ROOT = "sps/demo/"
TOPICS = Topics("demo", CHANNELS)


def every_topic() -> list[str]:
    """One or more of each channel, what Home Assistant needs, other people's, and another station's."""
    found = [TOPICS.build(channel, example_parameters(parameters(channel))) for channel in CHANNELS]
    found += [f"{ROOT}{kind}/{p}/{word}" for p in ("p2", "p3", "p4") for kind, word in (("position", "reading"), ("relay", "state"))]
    found += [f"{ROOT}service/{name}/{word}" for name in (*access.SERVICES, "controller-standby", "cli") for word in ("status", "error")]
    found += [f"{ROOT}{HOME_ASSISTANT_MODE}", "homeassistant/sensor/demo_soc/config", "homeassistant/status"]
    found += ["sps/other/relay/p1/command", "elsewhere"]
    return list(dict.fromkeys(found))


@pytest.fixture
def station(tmp_path):
    return simulated_station(
        tmp_path, positions={"p4": {"sensor": "ina260", "bus": "tcp:127.0.0.1:18085"}}, home_assistant={"enabled": True}
    )


def test_every_user_on_every_topic_both_ways(tmp_path, station, capsys) -> None:
    topics = every_topic()
    rights = {one.user: one for one in access.rights(station)}
    with guarded(tmp_path, station) as broker, ExitStack() as stack:
        witness = stack.enter_context(broker.witness())
        users = {user: stack.enter_context(UserClient(broker, user)) for user in access.USERS}
        for client in (witness, *users.values()):
            client.subscribe("#")
        # A broker acknowledges what it forbids, too: then it is through with it.
        for info in [client.publish(topic, f"from {user}") for user, client in users.items() for topic in topics]:
            info.wait_for_publish(20)
        for info in [witness.publish(topic, "from witness") for topic in topics]:
            info.wait_for_publish(20)
        for client in (witness, *users.values()):
            client.subscribe("barrier")
        arrived = {(user, topic) for user in users for topic in topics if f"from {user}".encode() in witness.payloads(topic)}
        reached = {(user, topic) for user in users for topic in topics if b"from witness" in users[user].payloads(topic)}
    with capsys.disabled():
        print(f"\n{table(topics, arrived, reached)}")  # noqa: T201 - the table of what was seen
    assert arrived == {(user, topic) for user in users for topic in topics if rights[user].may_write(topic)}
    assert reached == {(user, topic) for user in users for topic in topics if rights[user].may_read(topic)}


def table(topics, arrived, reached) -> str:
    """What was seen: `w` what the user wrote arrived, `r` what others wrote reached it."""
    wide = max(map(len, topics))
    head = f"{'':{wide}}  " + "  ".join(access.USERS)
    rows = [
        f"{topic:{wide}}  "
        + "  ".join(f"{('r' if (u, topic) in reached else '-') + ('w' if (u, topic) in arrived else '-'):{len(u)}}" for u in access.USERS)
        for topic in topics
    ]
    return "\n".join([head, *rows])
