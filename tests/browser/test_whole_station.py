"""The page before a whole simulated station, its relays at wire level: a switch test, and a mode by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.support.sps import Running, sps_run, station_file, wait_for


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Running]:
    with sps_run(station_file(tmp_path, simulation={"speed": 60, "seed_days": 0}), tmp_path / "var", wait_s=110) as running:
        yield running


def reason_code(station: Running) -> str | None:
    controller = requests.get(f"{station.page}/api/state", timeout=5).json()["controller"]
    return None if controller is None else str(controller["reason_code"])


def test_a_switch_is_tested_and_the_station_decides_by_itself_again(station: Running, browser: Browser) -> None:
    wait_for(lambda: reason_code(station), within_s=30, what="a decision")
    page = browser.new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{station.page}/devices")
    before = station.relay_is_on("p2")
    page.once("dialog", lambda dialog: dialog.accept())
    device = page.locator("[data-device=p2]")
    device.get_by_role("button", name="Test the switch").click()
    expect(page.locator("#feedback")).to_contain_text("The test has begun")
    wait_for(lambda: station.relay_is_on("p2") is not before or None, within_s=40, what="the relay itself to switch")
    expect(device.locator("[data-test=passed]")).to_be_visible(timeout=30_000)
    wait_for(lambda: reason_code(station) not in ("manual", None) or None, within_s=30, what="the controller to decide by itself")
    page.close()


def test_a_mode_by_hand_holds_and_is_let_go(station: Running, browser: Browser) -> None:
    wait_for(lambda: reason_code(station), within_s=30, what="a decision")
    page = browser.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"{station.page}/preferences")
    form = page.locator("#by-hand-form")
    form.get_by_label("Mode").select_option("5")
    form.get_by_role("button", name="Take over").click()
    expect(form.locator(".feedback")).to_contain_text("Asked for")
    wait_for(lambda: not station.relay_is_on("p1") or None, within_s=40, what="P1 to open")
    page.reload()
    form.get_by_role("button", name="Let it decide again").click()
    expect(form.locator(".feedback")).to_have_text("The station decides by itself again.")
    wait_for(lambda: reason_code(station) != "manual" or None, within_s=20, what="the mode to end")
    form.get_by_label("Mode").select_option("2")
    page.close()
