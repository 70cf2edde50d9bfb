"""The page in a real browser: what a person sees, and what their clicks do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.gateway import House
from tests.support.waiting import wait_until

Visit = Callable[..., Page]
UNKNOWN = "\N{EN DASH}"
PATHS = ("/", "/events", "/history", "/preferences", "/devices", "/log")
OVERLAPS = Path(__file__).with_name("overlaps.js").read_text(encoding="utf-8")


def chip(page: Page, position: str) -> Locator:
    return page.locator(f"[data-position={position}]")


def test_live_values_appear_and_change_without_reload(house: House, visit: Visit) -> None:
    house.relay("p1", on=True)
    house.relay("p2", on=False)
    house.decision(mode=2, reason="the battery rests until 17:00")
    page = visit()
    expect(page.locator("#link")).to_have_text("live")
    house.readings(p1=187.4, p2=0.0, p3=0.0, p4=52.0)
    expect(chip(page, "p1").locator(".value")).to_have_text("187 W")
    expect(chip(page, "p1")).to_have_attribute("data-relay", "closed")
    expect(chip(page, "p2")).to_have_attribute("data-relay", "open")
    expect(chip(page, "p3")).to_have_attribute("data-relay", "sensor")
    expect(page.locator("[data-node=load] .value")).to_have_text("187 W")
    expect(page.locator("[data-node=station] .soc")).to_have_text("63 %")
    expect(page.locator("#headline")).to_have_text("The grid feeds the load, the battery rests")
    expect(page.locator("#reason")).to_have_text("The battery rests until 17:00")
    expect(page.locator("[data-wire=p1]")).to_have_class("line active")
    expect(page.locator("[data-wire=p3]")).to_have_class("line")
    house.relay("p1", on=False)
    house.decision(phase="ongoing", mode=5, reason="event")
    house.readings(p1=0.0, p2=0.0, p3=1234.0, p4=52.0, soc_pct=61.0)
    expect(chip(page, "p3").locator(".value")).to_have_text("1.23 kW")
    expect(page.locator("[data-wire=p1]")).to_have_class("line")
    expect(page.locator("[data-wire=load]")).to_have_attribute("data-tone", "battery")
    expect(page.locator("#phase")).to_have_text("Event running")


def test_what_was_never_heard_is_a_dash_and_not_zero(house: House, visit: Visit) -> None:
    house.readings(p1=None, p2=40.0)
    page = visit()
    expect(chip(page, "p2").locator(".value")).to_have_text("40 W")
    expect(chip(page, "p1").locator(".value")).to_have_text(UNKNOWN)
    expect(chip(page, "p1")).to_have_attribute("data-relay", "unknown")
    expect(page.locator("[data-node=load] .value")).to_have_text(UNKNOWN)
    expect(page.locator("[data-node=grid] .value")).to_have_text(UNKNOWN)


def test_one_click_starts_an_event_of_an_hour(house: House, visit: Visit) -> None:
    page = visit()
    expect(page.locator("#idle")).to_have_text("No event is planned.")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#feedback")).to_contain_text("has begun")
    command = house.controller.commands[-1]
    assert (command.start, str(command.duration)) == ("now", "1:00:00")
    expect(page.locator("#event-title")).to_have_text("Event in progress")
    expect(page.locator("#countdown")).to_have_text("59 min")
    expect(page.locator("#start")).to_be_hidden()


def test_another_duration_and_the_keyboard_alone(house: House, visit: Visit) -> None:
    page = visit()
    expect(page.locator("#link")).to_have_text("live")
    page.locator("input[value=PT1H]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#feedback")).to_contain_text("has begun")
    assert str(house.controller.commands[-1].duration) == "2:00:00"


def test_an_event_from_elsewhere_appears_and_can_be_left_rejoined_and_cancelled(house: House, visit: Visit) -> None:
    page = visit("/events")
    expect(page.locator("#no-events")).to_be_visible()
    house.client.publish(
        "sps/demo/event/command",
        json.dumps({"start": "now", "duration": "PT2H", "id": "by-hand", "goal": {"kind": "pledge", "reduction_w": 150}}),
    )
    row = page.locator("[data-event=by-hand]")
    expect(row).to_contain_text("Running")
    expect(row).to_contain_text("150 W less than usual")
    row.get_by_role("button", name="Opt out").click()
    expect(row).to_contain_text("Not taking part")
    expect(page.locator("#feedback")).to_have_text("Not this time: you are out of this event.")
    row.get_by_role("button", name="Take part").click()
    expect(row).to_contain_text("Running")
    page.once("dialog", lambda dialog: dialog.dismiss())
    row.get_by_role("button", name="Cancel").click()
    assert house.controller.commands[-1].action == "opt_in"
    page.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("Cancelled")
    expect(page.locator("#feedback")).to_have_text("The event is cancelled.")


def test_a_refusal_is_told(house: House, visit: Visit) -> None:
    page = visit()
    house.client.publish("sps/demo/event/command", json.dumps({"start": "now", "duration": "PT2H", "id": "first", "priority": 0}))
    expect(page.locator("[data-event=first]")).to_be_visible()
    # The form is away while an event runs; a second page may still hold it.
    page.evaluate("document.getElementById('start').requestSubmit()")
    expect(page.locator("#feedback")).to_contain_text("overlaps event first")


def test_markup_in_names_and_reasons_is_shown_as_text(house: House, visit: Visit) -> None:
    nasty = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>"
    house.decision(reason=nasty)
    house.relay("p1", on=None, fault=nasty)
    house.event("marked", status="refused", status_reason=nasty)
    house.event("next", status="upcoming", status_reason=nasty)
    house.publish("service/recorder/error", {"message": nasty, "remedy": nasty})
    shown = {"/": "#reason", "/events": "[data-event=marked]", "/devices": "[data-device=p1] .fault", "/preferences": "#by-hand-form"}
    for path, where in shown.items():
        page = visit(path)
        expect(page.locator(where)).to_contain_text(nasty)
        assert page.locator("main b, main img, main script").count() == 0, path
        assert "owned" not in page.title()
    expect(visit("/").locator("#faults")).to_contain_text(nasty)


def test_the_day_is_drawn(house: House, visit: Visit) -> None:
    page = visit()
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#chart .u-legend")).to_contain_text("Grid import")
    expect(page.locator("#chart-note")).to_have_text("")


def test_without_a_recorder_the_chart_says_so(house: House, visit: Visit) -> None:
    house.recorder.broken = True
    page = visit()
    with pytest.raises(AssertionError):
        expect(page.locator("#chart canvas")).to_be_visible(timeout=500)
    expect(page.locator("#chart-note")).to_contain_text("history cannot be shown")


def test_broker_down_and_back(house: House, visit: Visit) -> None:
    house.relay("p1", on=True)
    page = visit()
    house.readings(p1=90.0, p2=0.0, p3=0.0, p4=0.0)
    expect(chip(page, "p1").locator(".value")).to_have_text("90 W")
    house.broker.stop()
    expect(page.locator("#banner")).to_contain_text("message broker does not answer")
    expect(chip(page, "p1").locator(".value")).to_have_text(UNKNOWN)
    expect(chip(page, "p1")).to_have_attribute("data-relay", "unknown")
    expect(page.locator("#start-button")).to_be_disabled()
    house.broker.start()
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#link")).to_have_text("live")
    expect(chip(page, "p1")).to_have_attribute("data-relay", "closed")
    expect(page.locator("#start-button")).to_be_enabled()


def test_gateway_down_and_back(house: House, visit: Visit) -> None:
    page = visit()
    house.readings(p1=90.0)
    expect(chip(page, "p1").locator(".value")).to_have_text("90 W")
    house.stop_gateway()
    expect(page.locator("#banner")).to_contain_text("connection to the station is lost")
    expect(chip(page, "p1").locator(".value")).to_have_text(UNKNOWN)
    expect(page.locator("#start-button")).to_be_disabled()
    house.start_gateway()
    expect(page.locator("#link")).to_have_text("live")


def test_a_page_that_hears_nothing_for_long_says_so(house: House, visit: Visit) -> None:
    page = visit(stopped_clock=True)
    expect(page.locator("#link")).to_have_text("live")
    page.clock.fast_forward(13_000)
    expect(page.locator("#banner")).to_contain_text("connection to the station is lost")
    page.clock.fast_forward(4_000)
    expect(page.locator("#link")).to_have_text("live")


@pytest.mark.parametrize("width", [360, 700, 1280])
def test_nothing_needs_scrolling_sideways(house: House, visit: Visit, width: int) -> None:
    house.readings(p1=1870.0, p2=1412.0, p3=1234.0, p4=1052.0, soc_pct=100.0)
    house.relay("p1", on=True, fault="a-fault-of-one-very-long-word-" * 6)
    house.decision(mode=3, phase="ongoing", reason="a reason of many words " * 6)
    house.event("x" * 64, status="ongoing", start_s=-60, lasts_s=86400, status_reason="y" * 100)
    for path in PATHS:
        page = visit(path, width=width, height=740)
        expect(page.locator("#link")).to_have_text("live")
        if path == "/":
            expect(page.locator("[data-event]")).to_have_count(1)
            expect(chip(page, "p1").locator(".value")).to_have_text("1.87 kW")
            expect(page.locator("#chart canvas")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.parametrize("width", [360, 1280])
def test_no_text_of_the_picture_overlaps_another(house: House, visit: Visit, width: int) -> None:
    page = visit(width=width)
    house.readings(p1=1870.0, p2=1412.0, p3=1234.0, p4=1052.0, soc_pct=100.0)
    for position in ("p1", "p2"):
        house.relay(position, on=True, fault="late")
    expect(chip(page, "p1").locator(".value")).to_have_text("1.87 kW")
    assert page.evaluate(OVERLAPS) == []


def test_motion_stops_for_those_who_asked(house: House, visit: Visit) -> None:
    house.readings(p1=90.0, p2=0.0, p3=0.0)
    moving = visit()
    still = visit(reduced_motion="reduce")
    for page, animation in ((moving, "flow"), (still, "none")):
        expect(page.locator("[data-wire=p1].active")).to_have_count(1)
        assert page.locator("[data-wire=p1] .dots").evaluate("e => getComputedStyle(e).animationName") == animation


def test_the_first_values_need_not_wait_for_the_stream(house: House, visit: Visit) -> None:
    house.relay("p1", on=True)
    house.decision(mode=2, reason="the battery rests until 17:00")
    house.readings(p1=187.4, p2=0.0, p3=0.0, p4=52.0)
    wait_until(lambda: house.get("/api/state").json()["positions"]["p1"]["power_w"])
    page = visit("/log")
    page.route("**/api/stream", lambda _route: None)  # never answered
    page.goto(house.url)
    expect(chip(page, "p1").locator(".value")).to_have_text("187 W")
    expect(page.locator("#reason")).to_have_text("The battery rests until 17:00")
    expect(page.locator("#link")).to_have_text("connecting")
    page.clock.install()
    page.reload()
    expect(chip(page, "p1").locator(".value")).to_have_text("187 W")
    page.clock.fast_forward(15_000)
    expect(page.locator("#link")).to_have_text("no connection")
    expect(chip(page, "p1").locator(".value")).to_have_text(UNKNOWN)
