"""Events from the aggregator's broker (a real Mosquitto, with TLS) to the station's bus, and answers back."""

import json
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.bus.uplink import signing
from services.core.config.aggregator import Aggregator
from tests.support.certificates import Authority
from tests.support.gateway import House
from tests.support.remote_broker import PASSWORD, USER, RemoteAggregator, RemoteBroker
from tests.support.waiting import wait_until

KEY = Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    broker = RemoteBroker(tmp_path_factory.mktemp("remote"))
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
def aggregator(remote):
    with RemoteAggregator(remote) as client:
        yield client


@pytest.fixture
def station(tmp_path, remote, aggregator):
    """Makes a house that is joined to the aggregator."""
    with ExitStack() as stack:

        def make(*, mqtt=None, **settings):
            secrets = tmp_path / "secrets"
            secrets.mkdir(exist_ok=True)
            for name in ("ca.crt", "client.crt", "client.key"):
                (secrets / name).write_bytes((remote.folder / name).read_bytes())
            (secrets / "password").write_text(PASSWORD)
            login = {"ca_file": "ca.crt", "client_cert": "client.crt", "client_key": "client.key", "user": USER, "secret": "password"}
            link = {"host": "127.0.0.1", "port": remote.port, **login, **(mqtt or {})}
            # A session of its own for each test.
            network = settings.pop("network", f"Borough-{time.monotonic_ns()}")
            aggregator.topics = type(aggregator.topics)(network)
            section = Aggregator.model_validate({"network": network, "mqtt": link, **settings})
            house = stack.enter_context(House(tmp_path, aggregator=section))
            joined(house)
            return house

        yield make


def joined(house):
    wait_until(lambda: link_of(house)["mqtt"]["state"] == "connected", 15, what="the link to the aggregator")


def link_of(house):
    return house.get("/api/sharing").json()["link"]


def an_event(event_id="e1", *, start_s=36_000.0, **more):
    now = datetime.now(UTC)
    start = (now + timedelta(seconds=start_s)).isoformat()
    return {"v": 1, "id": event_id, "start": start, "duration": "PT1H", "ts": now.isoformat(), **more}


def signed(event, key=KEY, kid="a"):
    return signing.sign(json.dumps(event).encode(), key, kid)


def event_on_bus(house, event_id="e1", **fields):
    def there():
        heard = [heard for heard in house.client.on(f"sps/demo/event/{event_id}") if heard.payload]
        body = heard[-1].json if heard else None
        return body if body and all(body[name] == value for name, value in fields.items()) else None

    return wait_until(there, 10, what=f"event {event_id} {fields}")


def notices(house):
    return [notice["message"] + notice["remedy"] for notice in house.get("/api/state").json()["notices"] if notice["service"] == "gateway"]


def answered(aggregator, event_id="e1", **fields):
    def there():
        found = [answer for answer in aggregator.answers(event_id) if all(answer.get(name) == value for name, value in fields.items())]
        return found[-1] if found else None

    return wait_until(there, 10, what=f"an answer for {event_id}: {fields}; there are {aggregator.answers()}")


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_an_event_arrives_over_tls_and_its_answer_goes_back(version, station, aggregator):
    house = station(mqtt={"version": version})
    goal = {"kind": "pledge", "reduction_w": 150.0}
    aggregator.send(an_event(goal=goal, priority=3, test=True, notice="<b>Hot</b> day"))
    event = event_on_bus(house, status="scheduled")
    assert (event["goal"]["reduction_w"], event["priority"], event["test"]) == (150.0, 3, True)
    answer = answered(aggregator, status="scheduled")
    assert set(answer) == {"v", "id", "revision", "status", "ts"}
    aggregator.send(an_event(goal=goal, revision=1, duration="PT2H"))
    answered(aggregator, revision=1)
    aggregator.send({"v": 1, "action": "cancel", "id": "e1", "ts": datetime.now(UTC).isoformat()})
    event_on_bus(house, status="cancelled")
    answered(aggregator, status="cancelled", reason="cancelled")
    received = house.get("/api/sharing").json()["received"]
    assert [(one["event_id"], one["outcome"]) for one in received] == [("e1", "delivered")] * 3
    assert received[-1]["notice"] == "<b>Hot</b> day", "shown as text by whoever shows it"


def test_the_aggregators_words_stand_on_the_page_as_text_with_who_signed_them(station, aggregator):
    network = f"Worded-{time.monotonic_ns()}"
    house = station(network=network, keys={"key-a": signing.public_text(KEY.public_key())})
    aggregator.send(signed(an_event("signed", network=network, nonce="nonce-0001", notice="<b>Hot</b> day"), kid="key-a"))
    event_on_bus(house, "signed")
    for path in ("/events", "/events/list", "/", "/card"):
        page = house.get(path).text
        assert "&lt;b&gt;Hot&lt;/b&gt; day" in page, path
        assert "<b>Hot" not in page, path
        assert "signed with its key key-a" in page, path
    assert house.post("/api/events", {"id": "own", "start": "now", "duration": "PT1H"}).status_code == 201
    card = house.get("/card").text
    assert "own" in card
    assert "aggregator" not in card
    aggregator.send(an_event("plain", network=network, start_s=90_000))
    event_on_bus(house, "plain")
    assert "not signed" in house.get("/events/list").text


def test_to_one_station_and_not_to_another(station, aggregator):
    house = station()
    aggregator.send(an_event("mine"), aggregator.topics.station_event("demo"))
    aggregator.send(an_event("other", station="elsewhere"))
    event_on_bus(house, "mine")
    wait_until(lambda: any("another network or station" in text for text in notices(house)), what="word of it on the page")
    assert house.get("/api/events/other").status_code == 404


def test_what_was_sent_while_the_station_was_away_arrives_when_it_is_back(station, aggregator):
    house = station()
    house.stop_gateway()
    aggregator.send(an_event("while-away"))
    house.start_gateway()
    event_on_bus(house, "while-away", status="scheduled")
    answered(aggregator, "while-away", status="scheduled")


def test_the_aggregators_broker_is_killed_and_comes_back(station, aggregator, remote):
    house = station()
    aggregator.send(an_event("before"))
    event_on_bus(house, "before")
    time.sleep(1.5)  # its autosave: what a broker forgets in a power cut is not ours to mend
    remote.kill()
    wait_until(lambda: link_of(house)["mqtt"]["state"] == "waiting", what="the loss on the page")
    assert link_of(house)["mqtt"]["detail"]
    house.get("/api/state").raise_for_status()
    remote.start()
    joined(house)
    wait_until(lambda: _sent(aggregator, an_event("after")), 20, what="the aggregator's own client")
    event_on_bus(house, "after")


def _sent(aggregator, event):
    try:
        aggregator.send(event)
    except (RuntimeError, ValueError):
        return False
    return True


def test_what_was_received_and_not_accepted_yet_survives_a_restart(station, aggregator):
    house = station()
    house.controller.mute = True
    aggregator.send(an_event("patient"))
    wait_until(lambda: house.controller.commands, what="the command")
    kept = house.var / "gateway" / "inbox.json"
    wait_until(lambda: kept.exists() and b"patient" in kept.read_bytes(), what="it on disk")
    house.stop_gateway()
    house.controller.mute = False
    house.start_gateway()
    event_on_bus(house, "patient", status="scheduled")
    answered(aggregator, "patient", status="scheduled")


def test_an_old_form_event_lasts_as_its_programme_says_and_is_answered_in_that_form(station, aggregator):
    house = station(forms=["old"])
    zone = house.station.zone
    day = datetime.now(zone) + timedelta(days=1)
    start = day.replace(hour=16, minute=0, second=0, microsecond=0)
    text = f"CSRP#contingency#{start:%Y-%m-%d %H:%M:%S}#{datetime.now(zone):%Y-%m-%d %H:%M:%S}"
    aggregator.send(text, aggregator.topics.old_event)
    event_id = f"csrp-{start.astimezone(UTC):%Y%m%d-%H%M}-"
    name = str(
        wait_until(lambda: next((h.topic for h in house.client.heard if event_id in h.topic and h.payload), None), 10, what=event_id)
    )
    event = event_on_bus(house, name.rsplit("/", 1)[1])
    lasts = datetime.fromisoformat(event["end"]) - datetime.fromisoformat(event["start"])
    assert (datetime.fromisoformat(event["start"]), lasts) == (start.astimezone(UTC), timedelta(hours=4))
    topic = aggregator.topics.old_participant("demo")
    said = wait_until(lambda: aggregator.on(topic), 10, what="the answer")[-1].decode().split("#")
    assert said[:3] == [event["id"], "scheduled", f"{start:%Y-%m-%d %H:%M:%S}"]
    assert aggregator.answers() == []


def test_where_signatures_are_required_nothing_else_is_taken_and_a_replay_is_refused(station, aggregator):
    network = f"Signed-{time.monotonic_ns()}"
    keys = {"a": signing.public_text(KEY.public_key())}
    house = station(network=network, require_signed=True, keys=keys)
    good = an_event("good", network=network, nonce="nonce-0001")
    aggregator.send(signed(good))
    event_on_bus(house, "good")
    assert house.get("/api/sharing").json()["received"][0]["signed_by"] == "a"
    long_ago = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    refused = {
        "plain": (json.dumps(an_event("plain")), "not signed", "bad_signature"),
        "strange": (signed(an_event("strange", network=network, nonce="nonce-0002"), Ed25519PrivateKey.generate(), "b"), "not known", None),
        "forged": (signed(an_event("forged", network=network, nonce="nonce-0003"), Ed25519PrivateKey.generate()), "not by key", None),
        "old": (signed({**an_event("old", network=network, nonce="nonce-0004"), "ts": long_ago}), "too old", "replayed"),
        "used": (signed(an_event("used", network=network, nonce="nonce-0001")), "nonce was used", "replayed"),
        "unbound": (signed(an_event("unbound", nonce="nonce-0005")), "needs network", None),
        "elsewhere": (signed(an_event("elsewhere", network="Other", nonce="nonce-0006")), "another network", None),
    }
    for event_id, (message, why, reason) in refused.items():
        aggregator.send(message)
        wait_until(partial(noted, house, why), what=why)
        if reason is not None:
            answered(aggregator, event_id, status="refused", reason=reason)
        assert house.get(f"/api/events/{event_id}").status_code == 404
    assert any("signed" in text for text in notices(house))
    # The same again at once is a careful sender; and after the nonce's restart it is still known.
    aggregator.send(signed(good))
    house.stop_gateway()
    house.start_gateway()
    joined(house)
    aggregator.send(signed(an_event("again", network=network, nonce="nonce-0001")))
    answered(aggregator, "again", reason="replayed")
    assert len([c for c in house.controller.commands if c.id == "good"]) == 1


def noted(house, why):
    return any(why in note["message"] for note in house.get("/api/sharing").json()["received"])


@pytest.mark.parametrize(
    ("change", "why", "reason"),
    [
        ({"start": "1970-01-01T00:00:00Z"}, "over when it arrived", "missed"),
        ({"start": "2100-01-01T00:00:00Z"}, "more than a year ahead", "not_possible"),
        ({"duration": "PT90H"}, "at most 24 h", "bad_message"),
        ({"revision": "two"}, "revision", "bad_message"),
        ({"goal": {"kind": "pledge", "reduction_w": "lots"}}, "goal", "bad_message"),
        ({"methods": ["prayer"]}, "methods", "bad_message"),
        ({"surprise": 1}, "surprise", "bad_message"),
        ({"start": 1_900_000_000}, "start", "bad_message"),
    ],
)
def test_a_bad_event_is_refused_with_its_reason_on_the_page_and_to_its_sender(change, why, reason, station, aggregator):
    house = station()
    aggregator.send(an_event("bad") | change)
    answer = answered(aggregator, "bad", status="refused", reason=reason)
    assert set(answer) <= {"v", "id", "revision", "status", "reason", "field", "ts"}
    wait_until(lambda: any(why in text for text in notices(house)), what=f"{why} on the page; there is {notices(house)}")
    assert house.get("/healthz").json()["status"] == "ok"


def test_bytes_that_are_no_event_at_all_do_no_harm(station, aggregator):
    house = station(forms=["json", "old"])
    for message in (
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{" * 5000,
        b"x" * 10_000,
        json.dumps(an_event("i" * 10_000)),
        json.dumps(an_event("команда")),
    ):
        aggregator.send(message)
        aggregator.send(message[:600], aggregator.topics.old_event)
    aggregator.send(an_event("kept"), retain=True)
    aggregator.send(b"", retain=True)
    aggregator.send(an_event("fine"))
    event_on_bus(house, "fine")
    assert [event["id"] for event in house.get("/api/events").json()] in (["fine"], ["fine", "kept"], ["kept", "fine"])


def test_the_same_event_a_hundred_times_is_one(station, aggregator):
    house = station()
    body = json.dumps(an_event())
    for _ in range(100):
        aggregator.send_soon(body)
    event_on_bus(house)
    aggregator.send(an_event("last"))
    event_on_bus(house, "last")
    assert [command.id for command in house.controller.commands] == ["e1", "last"]
    assert 1 <= len(aggregator.answers("e1")) <= 15


def test_what_was_sent_while_the_station_was_away_is_taken_however_much_it_is(station, aggregator):
    house = station()
    aggregator.send(an_event("standing", start_s=400_000))
    event_on_bus(house, "standing", status="scheduled")
    house.stop_gateway()
    for number in range(38):
        aggregator.send(an_event(f"e{number}", start_s=36_000 + 4000 * number))
    aggregator.send({"v": 1, "action": "cancel", "id": "standing", "ts": datetime.now(UTC).isoformat()})
    house.start_gateway()
    event_on_bus(house, "standing", status="cancelled")
    wait_until(lambda: len({command.id for command in house.controller.commands}) == 39, 30, what="all that was sent")
    assert [answer for answer in aggregator.answers() if answer["status"] == "refused"] == []


def test_a_flood_of_events_is_taken_at_a_pace_and_hurts_nobody(station, aggregator):
    house = station()
    bodies = [json.dumps(an_event(f"flood-{i}", start_s=36_000 + 4000 * i)) for i in range(3000)]
    began = time.monotonic()
    for i, body in enumerate(bodies):
        aggregator.send_soon(body)
        if i % 100 == 99:
            time.sleep(max(0.0, began + (i + 1) / 1000 - time.monotonic()))
    wait_until(partial(noted, house, "more events than"), 15, what="word of it")
    asked_at = time.monotonic()
    assert house.get("/api/state").status_code == 200
    assert time.monotonic() - asked_at < 5
    answer = house.post("/api/events", {"id": "by-hand", "start": "now", "duration": "PT30M"})
    assert answer.status_code in (201, 202), answer.text
    event_on_bus(house, "by-hand")
    taken = {command.id for command in house.controller.commands} - {"by-hand"}
    assert 30 <= len(taken) < 200


def test_an_event_of_the_persons_own_is_neither_changed_nor_told(station, aggregator):
    house = station()
    assert house.post("/api/events", {"id": "private", "start": "18:00", "duration": "PT1H"}).status_code == 201
    aggregator.send({"v": 1, "action": "cancel", "id": "private", "ts": datetime.now(UTC).isoformat()})
    answered(aggregator, "private", status="refused", reason="not_possible")
    assert event_on_bus(house, "private")["status"] in ("scheduled", "upcoming", "ongoing")
    assert [answer["status"] for answer in aggregator.answers("private")] == ["refused"]


def test_opting_out_is_told_at_level_none_and_progress_and_presence_are_not(station, aggregator):
    house = station()
    aggregator.send(an_event("soon", start_s=1))
    event_on_bus(house, "soon")
    answered(aggregator, "soon", status="scheduled")
    house.event("soon", status="ongoing", start_s=0)
    assert requests.post(f"{house.url}/api/events/soon/opt_out", json={}, timeout=10).status_code == 200
    answered(aggregator, "soon", status="opted_out", reason="opted_out")
    assert {answer["status"] for answer in aggregator.answers("soon")} == {"scheduled", "opted_out"}
    topic = aggregator.topics.online("demo")
    assert aggregator.on(topic) == []
    share(house, sharing="event")
    wait_until(lambda: [json.loads(body)["online"] for body in aggregator.on(topic) if body], what="presence")
    house.stop_gateway()
    wait_until(lambda: json.loads(aggregator.on(topic)[-1])["online"] is False, what="a goodbye")
    house.start_gateway()
    joined(house)
    wait_until(lambda: json.loads(aggregator.on(topic)[-1])["online"] is True, what="presence again")
    share(house, sharing="none")
    wait_until(lambda: aggregator.on(topic)[-1] == b"", what="presence taken back")
    left = requests.get(f"{house.url}/api/sharing/sent", timeout=10).json()["sent"]
    presence = [json.loads(one["body"])["online"] for one in left if one["kind"] == "presence"]
    assert {True, False} <= set(presence), "what was said of being there is in the log of what left"
    house.stop_gateway()
    assert aggregator.on(topic)[-1] == b"", "not even the last will says anything"
    house.start_gateway()


def share(house, **changes):
    answer = requests.patch(f"{house.url}/api/preferences", json=changes, timeout=10)
    assert answer.status_code == 200, answer.text


def test_no_free_text_reaches_the_sender(station, aggregator):
    house = station()
    aggregator.send(an_event("tell"))
    answered(aggregator, "tell", status="scheduled")
    house.event("tell", status="refused", status_reason="the battery is at 23 % and nobody is home")
    answered(aggregator, "tell", status="refused", reason="not_possible")
    assert not any(b"23" in heard.payload and b"battery" in heard.payload for heard in aggregator.heard)
    log = house.get("/api/sharing/sent").json()["sent"]
    assert {entry["route"] for entry in log} == {"mqtt"}
    assert len(log) == len(aggregator.answers())


@pytest.mark.parametrize(
    ("mqtt", "detail"),
    [
        ({"user": "somebody"}, "refuses us"),
        ({"ca_file": "other.crt"}, "its certificate is not to be trusted"),
        ({"ca_file": "missing.crt"}, "aggregator.mqtt.ca_file"),
        ({"secret": "nothing"}, "cannot be read"),
    ],
)
def test_a_wrong_login_says_what_to_mend_and_the_house_goes_on(mqtt, detail, station, tmp_path, monkeypatch):
    Authority(tmp_path / "secrets", "other")
    monkeypatch.setattr("tests.system.test_aggregator_signals.joined", lambda _house: None)
    house = station(mqtt=mqtt)
    wait_until(lambda: detail in link_of(house)["mqtt"]["detail"], 15, what=f"{detail}; there is {link_of(house)}")
    assert house.get("/healthz").json()["status"] == "ok"
