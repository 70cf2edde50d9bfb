"""The person's preferences and answers, over a real broker: the gateway keeps and tells them, the controller obeys them."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.support.gateway import House as GatewayHouse
from tests.support.waiting import wait_for, wait_until
from tests.system.test_controller import ROOT, controller, error_about, event_is, house, p1_commands, p1_goes

__all__ = ["house"]  # a fixture

ASK = {
    "goal": {"kind": "minimize"},
    "duration": "PT4H",
    "methods": ["replacement"],
    "participation": "ask",
    "backup_reserve_pct": 20,
    "sharing": "none",
    "answer_before": "PT1H",
}


async def prefer(plain, **changes):
    plain._client.publish(f"{ROOT}/preferences", json.dumps({"ts": datetime.now(UTC).isoformat(), **ASK, **changes}), 1, True)
    await asyncio.sleep(0)


async def ask(plain, event_id, **command):
    """Send an event until the station asks about it: the preferences and the command go over different topics."""

    def pending():
        heard = [h for h in plain.on(f"{ROOT}/event/{event_id}") if h.payload]
        if heard and heard[-1].json["status"] == "pending":
            return heard[-1].json
        return None

    plain.publish(f"{ROOT}/event/command", {"id": event_id, **command})
    return await wait_for(pending, what=f"event {event_id} to ask")


async def test_an_event_asks_waits_and_runs_once_it_is_accepted(broker, plain, house, tmp_path):
    await prefer(plain)
    async with controller(broker, plain, tmp_path):
        event = await ask(plain, "e1", start="now", duration="PT1H")
        assert event["unanswered"] == "decline"
        assert datetime.fromisoformat(event["answer_by"]) > datetime.now(UTC) + timedelta(minutes=5)
        assert all(command["on"] for command in p1_commands(plain)), "nothing is done before the answer"
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "action": "accept"})
        await event_is(plain, "e1", "ongoing")
        await p1_goes(plain, on=False)
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "action": "opt_out"})
        await event_is(plain, "e1", "opted_out")
        await p1_goes(plain, on=True)


async def test_a_pending_event_survives_a_restart_and_can_then_be_declined(broker, plain, house, tmp_path):
    await prefer(plain)
    async with controller(broker, plain, tmp_path):
        before = await ask(plain, "e1", start="now", duration="PT1H")
    async with controller(broker, plain, tmp_path):
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "action": "decline"})
        await event_is(plain, "e1", "opted_out")
    after = plain.on(f"{ROOT}/event/e1")[-1].json
    assert (before["start"], after["status_reason"]) == (after["start"], "declined")


@pytest.mark.parametrize(
    ("changes", "one", "other"),
    [
        ({"answer_before": None}, "preferences.participation", "preferences.answer_before"),
        ({"backup_reserve_pct": 95}, "preferences.backup_reserve_pct", "normal.charge_to_pct"),
        ({"quiet_hours": "00:30-17:30"}, "preferences.quiet_hours", "normal.charge_at"),
    ],
)
async def test_contradictory_preferences_are_told_on_the_bus_and_those_before_hold(broker, plain, house, tmp_path, changes, one, other):
    async with controller(broker, plain, tmp_path):
        await prefer(plain, **changes)
        error = await error_about(plain, one)
        assert other in error["message"]
        assert error["remedy"]
        plain.publish(f"{ROOT}/event/command", {"id": "e1", "start": "now"})
        await event_is(plain, "e1", "ongoing")


# The gateway's side.


@pytest.fixture
def gateway(tmp_path):
    with GatewayHouse(tmp_path) as running:
        yield running


def change(gateway, **body):
    return requests.patch(f"{gateway.url}/api/preferences", json=body, timeout=10)


def told(gateway):
    heard = gateway.client.on("sps/demo/preferences")
    return heard[-1].json if heard else None


def test_what_is_changed_is_kept_told_to_all_and_the_rest_stays(gateway):
    answer = change(gateway, participation="ask", answer_before="PT2H", quiet_hours="22:00-07:00")
    assert answer.status_code == 200
    assert answer.json()["backup_reserve_pct"] == 20
    wait_until(lambda: (told(gateway) or {}).get("participation") == "ask", 5, what="the preferences on the bus")
    assert told(gateway)["quiet_hours"] == "22:00-07:00"
    gateway.stop_gateway()
    gateway.start_gateway()
    assert gateway.get("/api/preferences").json()["answer_before"] == "PT2H"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"participation": "ask"}, ("preferences.participation", "preferences.answer_before")),
        ({"backup_reserve_pct": 95}, ("preferences.backup_reserve_pct", "normal.charge_to_pct")),
        ({"goal": {"kind": "limit", "import_w": 50, "reduction_w": 5}}, ("limit", "reduction_w")),
        ({"quiet_hours": "22-07"}, ("quiet_hours", "22:00-07:00")),
        ({"max_events_per_week": 0}, ("max_events_per_week", "1")),
        ({"reserve": 20}, ("reserve", "not known")),
    ],
)
def test_contradictions_and_errors_are_answered_with_both_fields_and_change_nothing(gateway, body, fields):
    before = gateway.get("/api/preferences").json()
    answer = change(gateway, **body)
    assert answer.status_code == 422
    problem = answer.json()
    assert all(field in json.dumps(problem) for field in fields), problem
    assert gateway.get("/api/preferences").json() == before


def test_kept_preferences_that_no_longer_fit_the_station_file_are_told_and_not_used(tmp_path):
    var = tmp_path / "var" / "gateway"
    var.mkdir(parents=True)
    (var / "preferences.json").write_text(json.dumps({"backup_reserve_pct": 95}), encoding="utf-8")
    with GatewayHouse(tmp_path) as running:
        assert running.get("/api/preferences").json()["backup_reserve_pct"] == 20
        wait_until(
            lambda: any("normal.charge_to_pct" in notice["message"] for notice in running.get("/api/state").json()["notices"]),
            5,
            what="the contradiction among the notices",
        )


def test_accept_and_decline_over_the_api_are_answered_with_what_became_of_the_event(gateway):
    gateway.event("e1", status="pending", answer_by=(datetime.now(UTC) + timedelta(hours=1)).isoformat(), unanswered="decline")
    wait_until(lambda: gateway.get("/api/events/e1").status_code == 200, 5, what="the event")
    shown = gateway.get("/api/events/e1").json()
    assert (shown["status"], shown["unanswered"]) == ("pending", "decline")
    assert gateway.post("/api/events/nobody/accept").status_code == 404
    gateway.event("done", status="completed", start_s=-7200)
    wait_until(lambda: gateway.get("/api/events/done").status_code == 200, 5, what="the other event")
    assert gateway.post("/api/events/done/accept").status_code == 409
