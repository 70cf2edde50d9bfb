"""Logging in, the pages behind it, and API tokens, as somebody with a browser lives through them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from services.core.config.notifications import Notifications
from tests.support.access import GuardedHouse
from tests.support.waiting import wait_until


@pytest.fixture
def house(tmp_path: Path) -> Iterator[GuardedHouse]:
    with GuardedHouse(tmp_path) as house:
        yield house


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [json.dumps(one)[:600] for one in found if one["impact"] in ("serious", "critical")]


def logged_in(house: GuardedHouse, page: Page) -> Page:
    page.get_by_label("Password").fill(house.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("navigation")).to_be_visible()
    return page


def test_a_person_logs_in_with_the_keyboard_and_comes_where_they_wanted(house: GuardedHouse, visit: Callable[..., Page]) -> None:
    page = visit("/events", width=360, height=740)
    expect(page).to_have_title("Log in · Smart Power Station")
    assert serious(page) == []
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The password is wrong.")
    logged_in(house, page)
    assert page.url == f"{house.url}/events"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_lives_and_its_writes_go_through(house: GuardedHouse, visit: Callable[..., Page]) -> None:
    house.readings(p1=50.0, p2=0.0, p3=0.0, p4=0.0)
    page = logged_in(house, visit("/"))
    expect(page.locator("#link")).to_have_attribute("data-live", "yes")
    page.goto(f"{house.url}/preferences")
    page.locator("#battery-form input[name=backup_reserve_pct]").fill("35")
    page.locator("#battery-form button[type=submit]").first.click()
    expect(page.locator("#battery-form")).to_contain_text("Saved.")
    assert house.get("/api/preferences", headers=house.bearer("read")).json()["backup_reserve_pct"] == 35


def test_a_token_is_made_and_shown_once_and_its_page_hinders_nobody(house: GuardedHouse, visit: Callable[..., Page]) -> None:
    page = logged_in(house, visit("/access"))
    assert serious(page) == []
    expect(page.get_by_text("You still use the first password")).to_be_visible()
    page.get_by_label("Name of a new token").fill("<b>evening</b>")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_role("alert")).to_contain_text("Give the token a name")
    page.get_by_label("Name of a new token").fill("evening script")
    page.get_by_role("button", name="Make a token").click()
    word = page.locator("#token").inner_text()
    assert house.get("/api/state", headers={"Authorization": f"Bearer {word}"}).status_code == 200
    page.goto(f"{house.url}/access")
    expect(page.locator("#token")).to_have_count(0)
    page.get_by_role("button", name="Revoke evening script").click()
    expect(page.get_by_text("There is no token.")).to_be_visible()
    assert house.get("/api/state", headers={"Authorization": f"Bearer {word}"}).status_code == 401


def test_the_password_is_changed_and_logging_out_everywhere_ends_another_page(house: GuardedHouse, visit: Callable[..., Page]) -> None:
    first = logged_in(house, visit("/access"))
    first.get_by_label("Password now").fill(house.password)
    first.get_by_label("New password, at least").fill("four words of mine")
    first.get_by_label("The new password once more").fill("four words of mine")
    first.get_by_role("button", name="Change the password").click()
    expect(first.get_by_text("You still use the first password")).to_have_count(0)
    wait_until(lambda: not house.first_password_file.exists(), what="the first password's file to be gone")
    first.get_by_role("button", name="Log out everywhere").click()
    expect(first).to_have_title("Log in · Smart Power Station")
    first.goto(f"{house.url}/access")
    expect(first).to_have_title("Log in · Smart Power Station")


def test_it_speaks_german(house: GuardedHouse, visit: Callable[..., Page]) -> None:
    page = visit("/access", locale="de-DE")
    expect(page).to_have_title("Anmelden · Smart Power Station")
    page.get_by_label("Passwort").fill("falsch")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Das Passwort ist falsch.")


def test_the_page_of_notifications_tests_its_targets(house: GuardedHouse, visit: Callable[..., Page]) -> None:
    house.stop_gateway()
    house.station = house.station.model_copy(update={"notifications": Notifications(to=("phone.url",), battery_low=False)})
    house.start_gateway()
    page = logged_in(house, visit("/notifications"))
    assert serious(page) == []
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status").filter(has_text="phone.url cannot be read")).to_be_visible()


def test_a_page_that_is_open_when_everybody_is_logged_out_asks_to_log_in_again(house: GuardedHouse, visit: Callable[..., Page]) -> None:
    page = logged_in(house, visit("/devices"))
    house.store.change(lambda state: state.logged_out())
    page.wait_for_url(f"{house.url}/login", timeout=15_000)
