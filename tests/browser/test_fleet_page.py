"""The fleet's page in a real browser: what it shows, what one can do with it, and what stays text."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from services.aggregator.calling import Typed
from services.aggregator.store import fleet
from tests.support.aggregator import NETWORK, Aggregator, aggregator, event_batch
from tests.support.waiting import wait_until

FOLDER = os.environ.get("SCREENSHOTS")
"""Where pictures go that are to be kept."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Aggregator]:
    with aggregator(tmp_path) as one:
        yield one


@pytest.fixture
def page(browser: Browser, running: Aggregator) -> Iterator[Page]:
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(8000)
    page.goto(running.page)
    yield page
    page.close()
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def test_an_event_is_called_on_the_page_and_its_answers_appear_without_a_reload(running: Aggregator, page: Page) -> None:
    station = running.enrol("house-1")
    station.put({"v": 1, "network": NETWORK, "level": "hourly", "capacity_wh": 1152.0, "pledge_w": 150.0})
    with station.client() as client:
        page.get_by_role("link", name="Call an event").click()
        page.get_by_label("Goal").select_option("pledge")
        page.get_by_role("textbox", name="Watts").fill("many")
        page.get_by_role("button", name="Call it").click()
        expect(page.locator("#refusal")).to_contain_text("watts: 'many' is refused")
        # What was typed is still there.
        expect(page.get_by_label("Goal")).to_have_value("pledge")
        page.get_by_role("textbox", name="Watts").fill("150")
        page.get_by_label("Notice for people").fill("<img src=x onerror=alert(1)>")
        page.get_by_role("button", name="Call it").click()
        expect(page.locator(".notice")).to_have_text("<img src=x onerror=alert(1)>")
        event_id = page.url.rsplit("/", 1)[1]
        page.get_by_role("link", name="Fleet").click()
        wait_until(lambda: client.on(f"dr/{NETWORK}/event"), what="the event")
        ts = datetime.now(UTC).isoformat()
        client.publish(f"dr/{NETWORK}/station/house-1/online", {"v": 1, "online": True, "ts": ts}, retain=True)
        answer = {"v": 1, "id": event_id, "revision": 0, "status": "ongoing", "ts": ts}
        client.publish(f"dr/{NETWORK}/station/house-1/answer", answer)
        expect(page.locator("#online")).to_have_text("1 of 1 stations")
        expect(page.locator("#delivering")).to_have_text("1 stations")
        expect(page.locator("#pledged")).to_have_text("150 W")
        expect(page.locator("#stations")).to_contain_text(event_id)
        assert station.post(event_batch(event_id)).status_code == 200
        expect(page.locator("#settled")).to_have_text("120 Wh")
        page.goto(f"{running.page}/events/{event_id}")
        page.get_by_role("button", name="Cancel the event").click()
        expect(page.locator(".pill").first).to_have_text("cancelled")


def test_a_form_that_is_sent_twice_calls_one_event(running: Aggregator, page: Page) -> None:
    def called() -> list[str]:
        return [row.id for row in running.read(fleet.events)]

    page.get_by_role("link", name="Call an event").click()
    page.get_by_role("button", name="Call it").dblclick()
    expect(page).to_have_url(re.compile("/events/"))
    first = called()
    assert len(first) == 1
    page.goto(f"{running.page}/schedule")
    assert page.locator("[name=event_id]").input_value() not in first
    fields = {name: page.locator(f"[name={name}]").input_value() for name in ("csrf", "event_id", "start", "duration")}
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda _: requests.post(f"{running.page}/schedule", data=fields, timeout=20, allow_redirects=False), range(4)))
    places = sorted(answer.headers["location"] for answer in sent)
    here = f"/events/{fields['event_id']}"
    assert places == [here, *[f"{here}?again=true"] * 3]
    assert sorted(called()) == sorted([*first, fields["event_id"]])
    page.goto(running.page + places[-1])
    expect(page.locator("#again")).to_contain_text("called this event once")


def test_a_click_into_a_table_does_not_stop_the_page(running: Aggregator, page: Page) -> None:
    running.enrol("house-1")
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(running.page)
    region = page.locator("#stations-region")
    page.locator("#stations td").first.click()
    expect(region).to_be_focused()
    region.evaluate("region => { region.scrollLeft = 40; }")
    running.enrol("house-2")
    expect(page.locator("#stations tbody tr")).to_have_count(2)
    expect(region).to_be_focused()
    assert region.evaluate("region => region.scrollLeft") == 40
    # A link without an id of its own keeps the focus as well.
    page.get_by_role("link", name="online", exact=True).focus()
    running.enrol("house-3")
    expect(page.locator("#stations tbody tr")).to_have_count(3)
    expect(page.get_by_role("link", name="online", exact=True)).to_be_focused()


def test_a_page_of_thousands_is_read_in_pieces_and_by_choice(running: Aggregator, page: Page) -> None:
    running.desk.enrol([f"house-{number:04d}" for number in range(250)])
    page.reload()
    expect(page.locator("#stations tbody tr")).to_have_count(100)
    page.get_by_role("link", name="The next 100").click()
    expect(page.locator("#stations tbody tr").first).to_contain_text("house-0100")
    page.get_by_role("link", name="online", exact=True).click()
    expect(page.get_by_text("None is online.")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_serious_is_in_the_way_of_anybody(running: Aggregator, page: Page, width: int) -> None:
    running.enrol("house-1")
    running.desk.call(Typed("now", "PT1H"), "one")
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", "/events/one", "/schedule"):
        page.goto(running.page + path)
        found = Axe().run(page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_with_a_password_nothing_is_seen_before_it(browser: Browser, tmp_path: Path) -> None:
    with aggregator(tmp_path, page={"password": True}) as one:
        page = browser.new_page()
        page.goto(f"{one.page}/settlements.csv")
        expect(page).to_have_url(f"{one.page}/login")
        page.get_by_label("Password").fill("guess")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_have_text("This is not the password.")
        first = (one.context.secrets / "aggregator" / "first-password").read_text(encoding="utf-8").strip()
        assert first not in one.log.read_text(encoding="utf-8")
        page.get_by_label("Password").fill(first)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Stations")).to_be_visible()
        cookie = next(cookie for cookie in page.context.cookies() if cookie["name"] == "fleet_session")
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.get_by_role("button", name="Log out").click()
        page.goto(one.page)
        expect(page).to_have_url(f"{one.page}/login")
        page.close()


def test_the_picture_of_the_fleet(running: Aggregator, page: Page, tmp_path: Path) -> None:
    """A running fleet of light stations in the middle of an event, as the documents show it."""
    command = [sys.executable, "-m", "services.cli", "fleet", "simulate", "40", "--for", "60", "--config", str(running.path), "--var"]
    fleet = subprocess.Popen([*command, str(running.var)], stdout=subprocess.DEVNULL)
    try:
        page.set_default_timeout(30_000)
        expect(page.locator("#online")).to_have_text("40 of 40 stations", timeout=30_000)
        running.desk.call(Typed("now", "PT8S", "pledge", "100", notice="a test of the lines"), "evening-peak-1")
        expect(page.locator("#settled")).not_to_have_text("\N{EN DASH}", timeout=30_000)
        start = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
        running.desk.call(Typed(start, "PT2H", "minimize"), "late-evening-2")
        running.desk.call(Typed("now", "PT4H", "pledge", "150"), "evening-peak-3")
        expect(page.locator("#delivering")).not_to_have_text("0 stations", timeout=30_000)
        expect(page.locator("#events")).to_contain_text("40 of 40", timeout=30_000)
        picture = Path(FOLDER or tmp_path) / "fleet.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 20_000
    finally:
        fleet.terminate()
        assert fleet.wait(30) == 0
