"""The gateway over real HTTP and a real broker: what it shows, what it sends, and whom it turns away."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.support import gateway
from tests.support.gateway import House
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(autouse=True)
def _quiet(house: House) -> Iterator[None]:
    """Each test leaves the stand-ins as it found them, and no event open."""
    yield
    house.controller.mute = house.recorder.broken = False
    for event in house.get("/api/events").json():
        if event["status"] in ("scheduled", "upcoming", "ongoing"):
            house.post(f"/api/events/{event['id']}/cancel")


# What it shows


def test_state_follows_the_bus(house: House) -> None:
    house.readings(p1=120.0, p2=0.0, p3=0.0, p4=33.0)
    house.relay("p1", on=True)
    house.decision(reason="battery rests")
    state = wait_until(lambda: (s := house.get("/api/state").json())["positions"]["p4"]["power_w"] == 33.0 and s["controller"] and s)
    assert state["load_w"] == 120.0
    assert state["positions"]["p1"]["relay_on"] is True
    assert state["controller"]["reason"] == "battery rests"
    assert state["battery"]["soc_pct"] == 63.0
    assert state["timezone"] == "Europe/Paris"
    assert state["services"]["gateway"]["state"] == "online"


def test_preferences_are_published_retained_and_served(house: House) -> None:
    published = wait_until(lambda: house.client.on("sps/demo/preferences"))
    assert published[-1].json["backup_reserve_pct"] == 20.0
    assert house.get("/api/preferences").json()["goal"]["kind"] == "minimize"
    assert (house.var / "gateway" / "preferences.json").exists()


def test_history_comes_from_the_recorder(house: House) -> None:
    history = house.get("/api/history", params={"hours": 24}).json()
    assert history["step_s"] == 300
    assert len(history["times"]) == len(history["series"]["soc_pct"]) == 288
    assert None in history["series"]["load_w"]
    assert house.get("/api/events/known/report").json()["final"] is True
    assert house.get("/api/events/unheard-of/report").status_code == 404


def test_an_unusable_or_absent_recorder_is_said_clearly(house: House) -> None:
    house.recorder.broken = True
    assert house.get("/api/history").status_code == 502
    house.recorder.broken = False
    assert house.get("/api/history", params={"hours": 700, "step_s": 1}).json()["field"] == "step_s"


@pytest.mark.parametrize(
    ("span", "field"),
    [
        ({"start": "0001-01-01T00:00:00+01:00"}, "start"),
        ({"end": "9999-12-31T23:59:59-01:00"}, "end"),
        ({"end": "0001-01-01T00:00:00Z"}, "end"),
    ],
)
def test_a_span_beyond_the_calendar_is_refused_by_its_field(span: dict[str, str], field: str, house: House) -> None:
    answer = house.get("/api/history", params=span)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_recorder_down_is_503(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.recorder.shutdown()
        house.recorder.socket.close()
        answer = house.get("/api/history")
        assert answer.status_code == 503
        assert answer.json()["message"] == "the recorder does not answer"
        # In a thread of its own: the state is there all the while.
        assert house.get("/api/state").status_code == 200
        house.recorder.socket = socket.socket()


# What it sends


def test_an_event_is_accepted_when_the_controller_publishes_it(house: House) -> None:
    answer = house.post("/api/events", {"start": "now", "duration": "PT1H"})
    assert answer.status_code == 201
    event = answer.json()
    assert event["status"] == "ongoing"
    assert house.get("/api/events").json()[0]["id"] == event["id"]
    assert house.get(f"/api/events/{event['id']}").json() == event


def test_out_in_and_out_again_within_a_minute_is_three_commands(house: House) -> None:
    event_id = house.post("/api/events", {"start": "now", "duration": "PT1H"}).json()["id"]
    for action, status in (("opt_out", "opted_out"), ("opt_in", "ongoing"), ("opt_out", "opted_out")):
        answer = house.post(f"/api/events/{event_id}/{action}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert house.post(f"/api/events/{event_id}/cancel").status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "start"),
        ({"duration": "PT1H"}, "start"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2001-01-01T00:00:00Z"}, "start"),
        ({"start": "now", "duration": "P7D"}, "duration"),
        ({"start": "now", "duration": -1}, "duration"),
        ({"start": "now", "duration": {"hours": 1}}, "duration"),
        ({"start": "now", "colour": "red"}, "colour"),
        ({"start": "now", "action": "explode"}, "action"),
        ({"start": "now", "id": "command"}, "id"),
        ({"start": "now", "id": "a/b"}, "id"),
        ({"start": "now", "goal": {"kind": "pledge"}}, "goal"),
        ([1, 2], None),
    ],
)
def test_a_bad_event_is_refused_with_field_and_remedy(house: House, body: object, field: str | None) -> None:
    sent = len(house.controller.commands)
    answer = house.post("/api/events", body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["field"] == field
    assert problem["message"]
    assert len(house.controller.commands) == sent


def test_not_json_is_refused(house: House) -> None:
    for body in (b"", b"{", b"\xff\xfe", b"now", b'{"start": NaN}'):
        answer = requests.post(f"{house.url}/api/events", data=body, headers={"Content-Type": "application/json"}, timeout=5)
        assert answer.status_code == 422
        assert answer.json()["message"]


def test_the_controllers_refusal_comes_back(house: House) -> None:
    assert house.post("/api/events", {"start": "now", "duration": "PT1H", "id": "first"}).status_code == 201
    answer = house.post("/api/events", {"start": "now", "duration": "PT1H"})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["field"] == "start"
    assert "overlaps event first" in problem["message"]
    assert "cancel that one" in problem["remedy"]
    assert house.post("/api/events", {"start": "now", "id": "first"}).status_code == 409


def test_an_event_that_nobody_answers_is_unsure(house: House) -> None:
    house.controller.mute = True
    answer = house.post("/api/events", {"start": "now", "duration": "PT1H"})
    assert answer.status_code == 202
    assert answer.json()["id"] == house.controller.commands[-1].id


def test_commands_on_unknown_events(house: House) -> None:
    assert house.post("/api/events/nothing-of-the-sort/cancel").status_code == 404
    assert house.post("/api/events/a/explode").status_code == 422
    assert house.get("/api/events/nothing-of-the-sort").status_code == 404


# The stream


def frames(response: requests.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in response.iter_lines(decode_unicode=True):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_the_stream_begins_with_everything_and_brings_what_changes(house: House) -> None:
    with house.get("/api/stream", stream=True) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        found = frames(response)
        assert {next(found)[0], next(found)[0]} == {"state", "events"}
        house.readings(p1=77.0)
        assert any(name == "state" and data["positions"]["p1"]["power_w"] == 77.0 for name, data in found)
        house.event("streamed", status="scheduled")
        assert any(name == "events" and data[0]["id"] == "streamed" for name, data in found)
        house.withdraw("event/streamed")
        assert any(name == "events" and all(event["id"] != "streamed" for event in data) for name, data in found)


def test_the_stream_is_coalesced(house: House) -> None:
    with house.get("/api/stream", stream=True) as response:
        found = frames(response)
        next(found), next(found)
        began = time.monotonic()
        for power in range(50):
            house.readings(p1=float(power))
        states = 0
        for name, data in found:
            states += name == "state"
            if name == "state" and data["positions"]["p1"]["power_w"] == 49.0:
                break
        assert states <= 2 * (time.monotonic() - began) + 2
        assert states < 50


def test_stopping_ends_open_streams_and_the_broker_gone_is_unknown(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.readings(p1=50.0)
        wait_until(
            lambda: (
                house.get("/api/state").json()["load_w"] is None and house.get("/api/state").json()["positions"]["p1"]["power_w"] == 50.0
            )
        )
        response = house.get("/api/stream", stream=True)
        found = frames(response)
        next(found)
        house.broker.stop()
        assert any(name == "state" and not data["connected"] and data["positions"]["p1"]["power_w"] is None for name, data in found)
        expected = {"status": "degraded", "bus": False, "deciding": False, "detail": "there is no connection to the broker"}
        assert house.get("/healthz").json() == expected
        refused = house.post("/api/events", {"start": "now"})
        assert refused.status_code == 503
        assert "broker" in refused.json()["message"]
        house.broker.start()
        assert any(name == "state" and data["connected"] for name, data in found)
    assert len(list(found)) < 10, "the stream has ended, and with it what was still on its way"


# The API against its own description


def test_the_api_keeps_to_its_openapi(house: House) -> None:
    # Streams have no end, so that one is tested above.
    schema = schemathesis.openapi.from_url(f"{house.url}/openapi.json").exclude(path="/api/stream")
    checks: list[Any] = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    bounded = settings(
        max_examples=20, deadline=None, database=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
    )
    tried = []

    def keeps(case: Any) -> None:
        tried.append(case.path)
        case.call_and_validate(checks=checks, timeout=10)

    for operation in schema.get_all_operations():
        assert isinstance(operation, Ok)
        bounded(given(case=operation.ok().as_strategy())(keeps))()
    assert len(set(tried)) == 16


def test_a_recorder_that_answers_something_else_is_told_of_and_no_fault_of_ours(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "series", lambda _query: {"times": [0.0]})
    house.recorder.states["controller/state"] = [{"ts": "2026-07-01T09:00:00Z", "payload": {}}]
    try:
        for path in ("/history.csv", "/log.csv"):
            answer = house.get(path)
            assert (answer.status_code, "recorder" in answer.json()["message"]) == (502, True), path
        page = house.get("/log")
        assert (page.status_code, "cannot be used" in page.text) == (200, True)
    finally:
        house.recorder.states.clear()


# The test of a switch


@pytest.mark.parametrize("somebody_elses", [False, True])
def test_looking_at_a_test_lets_go_of_its_mode_and_never_of_a_persons(somebody_elses: bool, house: House) -> None:
    house.decision(mode=2)
    house.relay("p2", on=False)
    wait_until(lambda: house.get("/api/state").json()["positions"]["p2"]["relay_on"] is False, what="the relay")
    before = len(wishes(house))
    begun = requests.post(f"{house.url}/devices/p2/test", data={"csrf": ""}, headers={"Origin": house.url}, timeout=10)
    assert begun.status_code == 200, begun.text
    mode = wait_until(lambda: wishes(house)[before:], what="the wish")[0]["mode"]
    house.decision(mode=5 if somebody_elses else mode, reason_code="manual")
    house.relay("p2", on=True)
    wait_until(lambda: house.get("/api/state").json()["positions"]["p2"]["relay_on"] is True, what="the relay")
    assert house.get("/devices").status_code == 200
    assert [one["release"] for one in wishes(house)[before + 1 :]] == ([] if somebody_elses else [True])
    house.decision(mode=2)


def wishes(house: House) -> list[dict[str, Any]]:
    return [one.json for one in house.client.on("sps/demo/controller/override")]
