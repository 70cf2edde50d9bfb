"""An event that asks, in the whole simulated house: over the real broker, on the page, and by the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.support.plain_client import PlainClient
from tests.support.sps import Running, sps_run, station_file, wait_for


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Running]:
    """A running station whose person wants to be asked."""
    file = station_file(
        tmp_path,
        simulation={"speed": 1, "seed_days": 0},
        preferences={"participation": "ask", "answer_before": "PT1H"},
        limits={"dwell_s": 0},
    )
    with sps_run(file, tmp_path / "var") as running:
        yield running


def status(running: Running, event_id: str) -> str | None:
    answer = requests.get(f"{running.page}/api/events/{event_id}", timeout=5)
    return str(answer.json()["status"]) if answer.status_code == 200 else None


def test_an_event_from_the_aggregator_asks_on_the_page_and_runs_once_it_is_accepted(asking: Running, browser: Browser) -> None:
    page = browser.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"{asking.page}/events")
    with PlainClient("127.0.0.1", asking.mqtt_port) as aggregator:
        aggregator.publish("sps/demo/event/command", json.dumps({"id": "hot-day", "start": "now", "duration": "PT1H"}))
        row = page.locator("[data-event=hot-day]")
        expect(row).to_contain_text("Asks you", timeout=20_000)
        expect(row).to_contain_text("else it is declined")
        first = browser.new_page()
        first.goto(asking.page)
        expect(first.locator("#event-title")).to_have_text("An event asks you")
        expect(first.locator(".facts")).to_contain_text("answer until")
        first.close()
        assert asking.relay_is_on("p1"), "nothing happens before the answer"
        row.get_by_role("button", name="Take part").click()
        expect(row).to_contain_text("Running", timeout=20_000)
        expect(page.locator("#feedback")).to_have_text("You take part in this event.")
        wait_for(lambda: not asking.relay_is_on("p1") or None, within_s=30, what="P1 to open")
        heard = [json.loads(one.payload) for one in aggregator.on("sps/demo/event/hot-day") if one.payload]
        assert [one["status"] for one in heard if one["status"] in ("pending", "ongoing")][:2] == ["pending", "ongoing"]
        row.get_by_role("button", name="Opt out").click()
        wait_for(lambda: asking.relay_is_on("p1") or None, within_s=30, what="P1 to close after opting out in the middle")
    page.close()


def test_it_is_declined_on_the_page_and_another_accepted_by_the_command_line(asking: Running, browser: Browser) -> None:
    asked = asking.sps("event", "schedule", "23:59", "--id", "late", "--duration", "PT1H")
    assert asked.returncode == 0, asked.stderr
    assert "it asks you" in asked.stdout
    page = browser.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"{asking.page}/events")
    row = page.locator("[data-event=late]")
    row.get_by_role("button", name="Not this time").click()
    expect(row).to_contain_text("Not taking part", timeout=20_000)
    expect(row).to_contain_text("declined")
    page.close()
    accepted = asking.sps("event", "accept", "late")
    assert accepted.returncode == 0, accepted.stderr
    assert status(asking, "late") in ("scheduled", "upcoming", "ongoing")
    assert asking.sps("event", "decline", "late").returncode == 0
    assert status(asking, "late") == "opted_out"
    assert asking.sps("event", "accept", "nobody").returncode != 0
