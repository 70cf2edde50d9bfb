"""The pages beside the first: what they show, that they show it live, in both languages, and without anything from elsewhere."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_page import PATHS, UNKNOWN
from tests.support.gateway import House, now_text
from tests.support.needs import need_mosquitto_pub

Visit = Callable[..., Page]
LIMIT_BYTES = 150_000


def performance(
    house: House, event_id: str, *, hours: int = 2, baseline_wh: float = 300.0, import_wh: float = 140.0, final: bool = False
) -> None:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
    intervals = [
        {
            "start": (start + timedelta(hours=i)).isoformat(),
            "end": (start + timedelta(hours=i + 1)).isoformat(),
            "baseline_wh": baseline_wh,
            "import_wh": import_wh + 80 * i,
            "avoided_wh": 150.0,
            "pv_wh": None,
            "reduction_wh": baseline_wh - import_wh - 80 * i,
            "covered": 1.0,
        }
        for i in range(hours)
    ]
    reduction = sum(one["reduction_wh"] for one in intervals)  # type: ignore[misc]
    body = {"event_id": event_id, "final": final, "intervals": intervals, "avoided_wh": 300.0, "reduction_wh": reduction, "covered": 1.0}
    house.publish(f"event/{event_id}/performance", body, retain=True)


def test_first_visit_leads_to_every_page_by_the_keyboard(house: House, visit: Visit) -> None:
    page = visit()
    expect(page.locator("#link")).to_have_text("live")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for path in PATHS[1:]:
        page.keyboard.press("Tab")
        while page.evaluate("document.activeElement.getAttribute('href')") != path:
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(house.url + path)
        expect(page.locator(f'.nav a[href="{path}"]')).to_have_attribute("aria-current", "page")
        expect(page.locator("#link")).to_have_text("live")


def test_an_event_of_mosquitto_pub_appears_without_reload(house: House, visit: Visit) -> None:
    need_mosquitto_pub()
    now, events = visit(), visit("/events")
    expect(events.locator("#no-events")).to_be_visible()
    body = json.dumps({"start": "now", "duration": "PT1H", "id": "from-outside"})
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(house.broker.port), "-q", "1", "-t", "sps/demo/event/command", "-m", body]
    subprocess.run(command, check=True, timeout=10)
    expect(events.locator("[data-event=from-outside]")).to_contain_text("Running")
    expect(now.locator("#event-title")).to_have_text("Event in progress")
    expect(now.locator("#countdown")).to_have_text("59 min")


def test_the_promise_is_shown_so_far_and_hour_by_hour(house: House, visit: Visit) -> None:
    house.event("hot", status="ongoing", start_s=-7200, lasts_s=14400, goal={"kind": "pledge", "reduction_w": 150})
    page, events = visit(), visit("/events")
    expect(page.locator("#countdown")).to_contain_text("1 h 59 min")
    assert page.locator("#kept").count() == 0
    performance(house, "hot")
    expect(page.locator("#kept")).to_have_text("80 % 120 W of 150 W")
    rows = events.locator(".hours tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("107 %")
    expect(rows.nth(1)).to_contain_text("53 %")


def test_opting_out_in_the_middle_and_back(house: House, visit: Visit) -> None:
    page = visit()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#event-title")).to_have_text("Event in progress")
    page.locator("#card").get_by_role("button", name="Opt out").click()
    expect(page.locator("#idle")).to_have_text("No event is planned.")
    assert house.controller.commands[-1].action == "opt_out"
    events = visit("/events")
    row = events.locator("[data-status=opted_out]")
    row.get_by_role("button", name="Take part").click()
    expect(events.locator("[data-status=ongoing]")).to_be_visible()
    expect(page.locator("#event-title")).to_have_text("Event in progress")


def test_an_event_is_planned_by_the_form_and_its_errors_stand_beside_the_fields(house: House, visit: Visit) -> None:
    page = visit("/events")
    form = page.locator("#schedule-form")
    form.get_by_label("So many watts less than usual").check()
    form.get_by_label("Watts", exact=True).fill("a lot")
    form.get_by_role("button", name="Start an event").click()
    expect(form.locator("#schedule-power_w-error")).to_have_text("Give the watts as a number from 0 to 100 000.")
    expect(form.get_by_label("Watts", exact=True)).to_have_value("a lot")
    expect(form.get_by_label("Watts", exact=True)).to_be_focused()
    expect(form.get_by_label("Watts", exact=True)).to_have_attribute("aria-invalid", "true")
    form.get_by_label("At a time of the day").check()
    form.get_by_label("Watts", exact=True).fill("150,5")
    form.get_by_role("button", name="Start an event").click()
    expect(form.locator("#schedule-start-error")).to_be_visible()
    assert house.controller.commands == []
    form.get_by_label("Time", exact=True).fill("23:59")
    form.get_by_role("button", name="Start an event").click()
    expect(form.locator(".feedback")).to_have_text("The event is on the list.")
    command = house.controller.commands[-1]
    assert (command.start, command.goal.reduction_w if command.goal else None) == ("23:59", 150.5)
    expect(page.locator("[data-status=scheduled], [data-status=upcoming]")).to_contain_text("150 W less than usual")


def test_a_report_is_read_and_printed(house: House, visit: Visit) -> None:
    start = datetime(2026, 11, 22, 16, tzinfo=UTC)
    interval = {
        "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat(), "baseline_wh": 182.4, "import_wh": 12.1,
        "avoided_wh": 168.3, "pv_wh": None, "reduction_wh": 170.3, "covered": 0.98,
    }  # fmt: skip
    result = {"event_id": "yesterday", "final": True, "intervals": [interval], "avoided_wh": 168.3, "reduction_wh": 170.3, "covered": 0.98}
    house.event("yesterday", status="completed", start_s=-86400)
    house.publish("event/yesterday/performance", result, retain=True)
    event = {
        "ts": now_text(), "id": "yesterday", "revision": 0, "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat(),
        "goal": {"kind": "minimize"}, "methods": ["replacement"], "priority": 0, "status": "completed",
    }  # fmt: skip
    nasty = "<b>because</b>"
    decisions = [{"ts": start.isoformat(), "mode": 5, "reason": nasty}, {"ts": start.isoformat(), "mode": 5, "reason": "still"}]
    house.recorder.reports["/api/events/yesterday/report"] = {
        "event": event, "baseline": {"days": ["2026-11-20"]}, "performance": {"ts": now_text(), **result},
        "decisions": decisions, "final": True,
    }  # fmt: skip
    page = visit("/events")
    row = page.locator("[data-event=yesterday]")
    expect(row).to_contain_text("170 Wh less than the baseline")
    row.get_by_role("link", name="Report").click()
    cells = ["Sun 22 Nov 17:00", "182 Wh", "12 Wh", "170 Wh", "168 Wh", UNKNOWN, "98 %"]
    expect(page.locator("#report-rows tr > *")).to_have_text(cells)
    expect(page.locator(".decisions li")).to_have_count(1)
    expect(page.locator(".decisions")).to_contain_text(nasty)
    page.emulate_media(media="print")
    expect(page.locator(".nav")).to_be_hidden()
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    expect(page.locator("#report-rows")).to_be_visible()
    page.goto(f"{house.url}/events/nobody/report")
    expect(page.locator("main")).to_contain_text("the recorder knows no such thing")
    page.goto(f"{house.url}/nowhere")
    expect(page.locator("main")).to_contain_text("There is no such page.")


def test_the_history_is_drawn_zoomed_and_downloaded(house: House, visit: Visit) -> None:
    page = visit("/history")
    chart = page.locator("#chart")
    expect(chart.locator("canvas")).to_be_visible()
    expect(page.locator(".figures tbody tr").first).to_contain_text("3600 Wh")
    whole = chart.get_attribute("data-shown")
    page.get_by_role("button", name="Zoom in").click()
    expect(chart).not_to_have_attribute("data-shown", str(whole))
    near = chart.get_attribute("data-shown")
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(chart).not_to_have_attribute("data-shown", str(near))
    page.get_by_role("button", name="Whole span").click()
    expect(chart).to_have_attribute("data-shown", str(whole))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0] == "start,load_w,import_w,p1_w,p2_w,p3_w,p4_w,soc_pct"
    assert len(lines) == 1441


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("first=2026-07-10&last=2026-07-01", "last", "must not lie before"),
        ("first=yesterday&last=2026-07-01", "first", "year-month-day"),
        ("first=2020-01-01&last=2026-07-01", "last", "At most a year"),
        ("first=9999-01-01&last=2026-07-01", "first", "between the years"),
    ],
)
def test_a_span_that_cannot_be_meant_is_told_beside_its_field(house: House, visit: Visit, query: str, field: str, says: str) -> None:
    page = visit(f"/history?{query}")
    expect(page.locator(f"#{field}-error")).to_contain_text(says)


def test_devices_tell_link_and_faults(house: House, visit: Visit) -> None:
    page = visit("/devices")
    p1, battery = page.locator("[data-device=p1]"), page.locator("[data-device=battery]")
    expect(p1).to_contain_text("never heard")
    house.readings(p1=90.0)
    house.relay("p1", on=True, fault="the contact is welded")
    house.publish(
        "battery/link", {"available": False, "silent": False, "silent_s": 5, "last_failure": "out of reach", "device": "b"}, retain=True
    )
    page.reload()
    expect(p1).to_contain_text("answers")
    expect(p1).to_contain_text("the contact is welded")
    expect(battery).to_contain_text("out of reach")


def test_a_switch_is_tested_through_the_controller_alone(house: House, visit: Visit) -> None:
    house.readings(p1=90.0, p2=0.0)
    house.relay("p1", on=True)
    house.relay("p2", on=False)
    house.decision(mode=2)
    page = visit("/devices")
    page.once("dialog", lambda dialog: dialog.accept())
    p2 = page.locator("[data-device=p2]")
    p2.get_by_role("button", name="Test the switch").click()
    expect(page.locator("#feedback")).to_contain_text("The test has begun")
    wishes = [json.loads(one.payload) for one in house.client.on("sps/demo/controller/override")]
    assert [(one["mode"], one["release"]) for one in wishes] == [(1, False)]
    assert house.client.on("sps/demo/relay/p2/command") == []
    expect(p2).to_contain_text("waiting until it reads back closed", timeout=8000)
    house.relay("p2", on=True)
    expect(p2.locator("[data-test=passed]")).to_be_visible(timeout=8000)
    wishes = [json.loads(one.payload) for one in house.client.on("sps/demo/controller/override")]
    assert wishes[-1]["release"] is True


def test_the_log_tells_decisions_and_faults(house: House, visit: Visit) -> None:
    def said(minutes: int, **payload: object) -> dict[str, object]:
        return {"ts": (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(), "payload": payload}

    def decided(minutes: int, mode: int, code: str, reason: str) -> dict[str, object]:
        return said(minutes, mode_commanded=mode, reason_code=code, reason=reason, phase="normal")

    house.recorder.states["controller/state"] = [
        decided(60, 2, "resting", "resting at 67 %"),
        decided(59, 2, "resting", "resting at 66 %"),
        decided(30, 5, "daily_discharge", "daily cycle: battery feeds the load, 66 % down to 60 %"),
    ]
    house.recorder.states["service/controller/error"] = [
        said(20, message="=HYPERLINK(1) refused", field="start", value="'x'", remedy="use another")
    ]
    page = visit("/log")
    expect(page.locator(".log li")).to_have_count(3)
    expect(page.locator(".log li").nth(0)).to_contain_text("start: 'x'; use another")
    expect(page.locator(".log li").nth(1)).to_contain_text("The battery feeds the load")
    page.get_by_role("link", name="Faults").click()
    expect(page.locator(".log li")).to_have_count(1)
    csv = house.get("/log.csv").text.splitlines()
    assert csv[0] == "time,kind,from,mode,text"
    assert "'=HYPERLINK" in csv[-1]


def test_german_by_the_browser_and_english_by_choice(house: House, visit: Visit) -> None:
    house.relay("p1", on=True)
    house.decision(mode=2, reason="resting at 67 %", reason_code="resting")
    house.readings(p1=1234.0, p2=0.0, p3=0.0)
    page = visit(locale="de-DE")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("#headline")).to_have_text("Das Netz speist die Last, die Batterie ruht")
    expect(page.locator("#reason")).to_have_text("Ruht bei 67 %")
    expect(page.locator("[data-position=p1] .value")).to_have_text("1,23 kW")
    expect(page.locator("[data-position=p1]")).to_have_attribute("data-relay", "closed")
    page.get_by_role("link", name="English").click()
    expect(page.locator("#headline")).to_have_text("The grid feeds the load, the battery rests")
    page.goto(f"{house.url}/events")
    expect(page.locator("#no-events")).to_have_text("None is announced.")
    page.get_by_role("link", name="Deutsch").click()
    page.wait_for_url(f"{house.url}/events")
    expect(page.locator("#no-events")).to_have_text("Keines ist angekündigt.")


def test_the_switch_of_language_leads_to_no_other_site(house: House) -> None:
    for back in ("https://evil.example", "//evil.example", "/\\evil.example", "/nothing"):
        answer = house.get("/language/de", params={"back": back}, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "language" not in house.get("/language/xx", allow_redirects=False).headers.get("Set-Cookie", "")


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_asked_of_another_host_and_the_first_view_is_light(house: House, browser: Browser, path: str) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    received: list[int] = []
    session.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
    page.goto(house.url + path)
    expect(page.locator("#link")).to_have_text("live")
    if path in ("/", "/history"):
        expect(page.locator("#chart canvas")).to_be_visible()
    assert [url for url in asked if not url.startswith((house.url, "data:"))] == []
    assert 0 < sum(received) < LIMIT_BYTES
    page.close()


def test_without_javascript_the_values_of_the_moment_and_the_forms_are_there(house: House, browser: Browser) -> None:
    house.readings(p1=187.4, p2=0.0, p3=0.0, p4=52.0)
    house.decision(reason="nothing to do")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(house.url)
    table = page.locator("noscript table, main table").first
    expect(table).to_contain_text("187 W")
    expect(table).to_contain_text("63 %")
    expect(page.locator("#headline")).to_have_text("The grid feeds the load, the battery rests")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("main")).to_contain_text("The event has begun")
    page.goto(f"{house.url}/preferences")
    page.get_by_label("Kept for an outage").fill("130")
    page.locator("#battery").get_by_role("button", name="Save").click()
    expect(page.locator("#battery-backup_reserve_pct-error")).to_be_visible()
    expect(page.get_by_label("Kept for an outage")).to_have_value("130")
    context.close()


def test_every_page_says_when_the_broker_is_away_and_comes_back(house: House, visit: Visit) -> None:
    pages = [visit(path) for path in ("/events", "/devices", "/preferences")]
    for page in pages:
        expect(page.locator("#link")).to_have_text("live")
    house.broker.stop()
    for page in pages:
        expect(page.locator("#banner")).to_contain_text("message broker does not answer")
    house.broker.start()
    for page in pages:
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator("#link")).to_have_text("live")
