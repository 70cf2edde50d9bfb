"""The forms of preferences in a real browser: what is saved, what is refused and where that is said."""

from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.support.gateway import House

Visit = Callable[..., Page]


def kept(house: House) -> dict[str, object]:
    found: dict[str, object] = house.get("/api/preferences").json()
    return found


def test_response_preferences_are_saved_and_told(house: House, visit: Visit) -> None:
    page = visit("/preferences")
    form = page.locator("#answering-form")
    form.get_by_label("Ask me").check()
    form.get_by_label("Answer due").select_option("PT4H")
    form.get_by_label("Without an answer").select_option("accept")
    form.get_by_label("Most events a week").fill("3")
    form.get_by_label("Hours without events: from").fill("22:00")
    form.get_by_label("Hours without events: to").fill("07:00")
    form.get_by_label("Goal").select_option("pledge")
    form.get_by_label("Watts").fill("150")
    form.get_by_role("button", name="Save").click()
    expect(form.locator(".feedback")).to_have_text("Saved.")
    chosen = kept(house)
    assert chosen["participation"] == "ask"
    assert chosen["answer_before"] == "PT4H"
    assert chosen["if_unanswered"] == "accept"
    assert chosen["max_events_per_week"] == 3
    assert chosen["no_event_hours"] == "22:00-07:00"
    assert chosen["goal"] == {"kind": "pledge", "reduction_w": 150.0, "import_w": None}
    page.reload()
    expect(form.get_by_label("Ask me")).to_be_checked()
    expect(form.get_by_label("Hours without events: from")).to_have_value("22:00")


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(house: House, visit: Visit) -> None:
    before = kept(house)
    page = visit("/preferences")
    form = page.locator("#answering-form")
    form.get_by_label("Most events a week").fill("lots <b>")
    form.get_by_label("Hours without events: from").fill("22:00")
    form.get_by_role("button", name="Save").click()
    expect(form.locator("#answering-max_events_per_week-error")).to_have_text("Give a whole number from 1 to 100, or leave it empty.")
    expect(form.locator("#answering-no_event_hours-error")).to_be_visible()
    expect(form.get_by_label("Most events a week")).to_have_value("lots <b>")
    expect(form.get_by_label("Most events a week")).to_be_focused()
    expect(form.get_by_label("Hours without events: from")).to_have_value("22:00")
    assert kept(house) == before


def test_a_contradiction_is_told_with_both_its_sides(house: House, visit: Visit) -> None:
    page = visit("/preferences")
    form = page.locator("#battery-form")
    form.get_by_label("Kept for an outage").fill("95")
    form.get_by_role("button", name="Save").click()
    expect(form.locator("#battery-backup_reserve_pct-error")).to_contain_text("contradict each other")
    form.get_by_label("Kept for an outage").fill("32,5")
    form.get_by_label("Quiet hours: from").fill("22:00")
    form.get_by_label("Quiet hours: to").fill("00:30")
    form.get_by_label("Quiet hours: to").press("Enter")
    expect(form.locator(".feedback")).to_have_text("Saved.")
    assert (kept(house)["backup_reserve_pct"], kept(house)["quiet_hours"]) == (32.5, "22:00-00:30")


def test_a_mode_by_hand_goes_to_the_controller_with_its_end(house: House, visit: Visit) -> None:
    house.decision(mode=2)
    page = visit("/preferences")
    form = page.locator("#by-hand-form")
    form.get_by_label("Mode").select_option("5")
    form.get_by_label("For how long").select_option("PT30M")
    form.get_by_role("button", name="Take over").click()
    expect(form.locator(".feedback")).to_contain_text("Asked for")
    sent = [one.payload for one in house.client.on("sps/demo/controller/override")]
    assert len(sent) == 1
    assert '"mode":5' in str(sent[0])
    assert "PT30M" in str(sent[0])
    house.decision(mode=5, reason="manual mode until 17:00", reason_code="manual")
    page.reload()
    form.get_by_role("button", name="Let it decide again").click()
    expect(form.locator(".feedback")).to_be_visible()
    assert '"release":true' in str(house.client.on("sps/demo/controller/override")[-1].payload)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/preferences/battery", {}, 422),
        ("/preferences/battery", {"backup_reserve_pct": "nan"}, 422),
        ("/preferences/battery", {"backup_reserve_pct": "20", "floor_pct": "0"}, 422),
        ("/preferences/answering", {"participation": "sometimes", "goal": "minimize", "duration": "PT1H"}, 422),
        ("/preferences/answering", {"participation": "always", "goal": "win", "duration": "PT1H"}, 422),
        ("/preferences/by-hand", {"mode": "9", "duration": "PT1H"}, 422),
        ("/preferences/by-hand", {"mode": "2", "duration": "P9D"}, 422),
        ("/events", {"when": "at", "start": "25:99", "duration": "PT1H", "goal": "minimize"}, 422),
        ("/events", {"when": "now", "duration": "PT1H", "goal": "minimize", "priority": "0"}, 422),
        ("/events/start", {"duration": "PT99H"}, 422),
        ("/events/nobody/opt_out", {}, 404),
        ("/events/a%20b/opt_out", {}, 422),
        ("/devices/p9/test", {}, 404),
    ],
)
def test_forms_with_missing_extra_or_absurd_fields_change_nothing(house: House, path: str, body: dict[str, str], status: int) -> None:
    before = kept(house)
    answer = requests.post(house.url + path, data={"csrf": "", **body}, headers={"Origin": house.url, "HX-Request": "true"}, timeout=10)
    assert answer.status_code == status, answer.text
    assert kept(house) == before
    assert house.client.on("sps/demo/controller/override") == []


def test_a_form_of_another_site_or_of_nobody_is_refused(house: House) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {}):
        answer = requests.post(f"{house.url}/preferences/battery", data={"backup_reserve_pct": "50"}, headers=headers, timeout=10)
        assert answer.status_code == 403
    assert kept(house)["backup_reserve_pct"] == 20
