"""The pictures of README and docs, of a running simulated station with an event in progress: `make screenshots`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import requests
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.sps import Running, sps_run, station_file, wait_for

Scheme = Literal["light", "dark"]
WIDE, PHONE = ViewportSize(width=1280, height=860), ViewportSize(width=360, height=780)
FOLDER = os.environ.get("SCREENSHOTS")
pytestmark = pytest.mark.timeout(600)
PAGES = ("now", "events", "history", "preferences", "devices", "log")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two past days, an event behind it, one that runs, and one that is to come."""
    folder = tmp_path_factory.mktemp("station")
    speed = 60 if FOLDER else 240
    with sps_run(
        station_file(folder, simulation={"speed": speed, "seed_days": 20 if FOLDER else 1}), folder / "var", wait_s=300
    ) as running:
        if FOLDER:
            post(running, {"id": "csrp-1", "start": "now", "duration": "PT30M"})
            wait_for(lambda: status(running, "csrp-1") == "completed" or None, within_s=120, what="the first event to end")
        post(running, {"id": "csrp-2", "start": "now", "duration": "PT4H"})
        post(running, {"id": "csrp-3", "start": "18:00", "duration": "PT4H", "goal": {"kind": "pledge", "reduction_w": 150}})
        wait_for(lambda: figures(running, "csrp-2") or None, within_s=120, what="figures of the running event")
        yield running


def post(running: Running, command: dict[str, object]) -> None:
    requests.post(f"{running.page}/api/events", json=command, timeout=10).raise_for_status()


def one(running: Running, event_id: str) -> dict[str, object]:
    answer = requests.get(f"{running.page}/api/events/{event_id}", timeout=5)
    found: dict[str, object] = answer.json() if answer.ok else {}
    return found


def status(running: Running, event_id: str) -> object:
    return one(running, event_id).get("status")


def figures(running: Running, event_id: str) -> bool:
    wanted = 2 if FOLDER else 1
    intervals = one(running, event_id).get("intervals")
    return isinstance(intervals, list) and len(intervals) >= wanted


def path_of(name: str) -> str:
    return {"now": "/", "history": "/history?span=week"}.get(name, f"/{name}")


def settled(page: Page, name: str) -> None:
    expect(page.locator("#link")).to_have_text("live")
    if name in ("now", "history"):
        expect(page.locator("#chart canvas")).to_be_visible(timeout=15_000)
    if name == "now":
        expect(page.locator("#event-title")).to_have_text("Event in progress")
        expect(page.locator("[data-node=station] .soc")).to_contain_text("%")
    if name == "events":
        expect(page.locator(".hours")).to_be_visible()
    if name == "preferences":
        page.locator("[name=sharing][value=hourly]").check()
        expect(page.locator("#sharing-example pre").first).to_be_visible(timeout=15_000)


SHOTS = [*((name, name, WIDE, "light") for name in PAGES), ("phone", "now", PHONE, "light"), ("dark", "now", WIDE, "dark")]


@pytest.mark.parametrize(("picture", "name", "viewport", "scheme"), SHOTS, ids=[shot[0] for shot in SHOTS])
def test_every_picture_can_be_taken(
    station: Running, browser: Browser, tmp_path: Path, picture: str, name: str, viewport: ViewportSize, scheme: Scheme
) -> None:
    page = browser.new_page(
        viewport=viewport, color_scheme=scheme, device_scale_factor=1.5 if viewport is WIDE else 2, reduced_motion="reduce", locale="en-GB"
    )
    page.goto(station.page + path_of(name))
    settled(page, name)
    page.wait_for_timeout(600 if FOLDER else 0)  # the last line of a chart is drawn by a timer of its own
    out = (Path(FOLDER) if FOLDER else tmp_path) / f"{picture}.png"
    page.screenshot(path=out, full_page=picture != "phone")
    assert out.stat().st_size > 10_000
    page.close()
