"""What leaves the house, on the page: the level, single fields, and the example, held against what really leaves."""

import json
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from services.core.sharing_fields import FIELDS
from tests.support.sps import Running, sps_run, station_file


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A whole simulated station, with hours behind it."""
    folder = tmp_path_factory.mktemp("station")
    file = station_file(folder, simulation={"speed": 1, "seed_days": 1}, recorder={"commit_every_s": 1})
    with sps_run(file, folder / "var", wait_s=110) as running:
        yield running


@pytest.fixture
def page(station: Running, browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(15_000)
    page.goto(f"{station.page}/preferences")
    expect(page.locator("#link")).to_have_text("live")
    yield page
    page.close()
    requests.patch(f"{station.page}/api/preferences", json={"sharing": "none", "sharing_fields": {}}, timeout=5).raise_for_status()


def example(page: Page) -> str:
    return page.locator("#sharing-example").inner_text()


def test_the_example_follows_every_choice_before_anything_is_saved(station: Running, page: Page) -> None:
    shown = page.locator("#sharing-example")
    page.get_by_label("Hours", exact=False).and_(page.locator("[name=sharing][value=hourly]")).check()
    expect(shown).to_contain_text('"p1_wh"')
    expect(shown).to_contain_text('"capacity_wh"')
    expect(shown).not_to_contain_text('"p1_w"')
    page.locator("summary", has_text="Choose single fields").click()
    page.get_by_label("Energy of each hour, grid to load.").uncheck()
    expect(shown).not_to_contain_text('"p1_wh"')
    expect(shown).to_contain_text('"p2_wh"')
    page.locator("[name=sharing][value=full]").check()
    expect(shown).to_contain_text('"soc_pct"')
    expect(shown).to_contain_text('"p1_w"')
    page.locator("[name=sharing][value=none]").check()
    expect(shown).not_to_contain_text("p2_wh")
    assert requests.get(f"{station.page}/api/preferences", timeout=5).json()["sharing"] == "none", "nothing was saved"


def test_a_saved_choice_holds_for_what_is_sent(station: Running, page: Page) -> None:
    page.locator("[name=sharing][value=event]").check()
    page.locator("summary", has_text="Choose single fields").click()
    page.get_by_label("The size of your battery.").uncheck()
    page.locator("#sharing").get_by_role("button", name="Save").click()
    expect(page.locator("#sharing .feedback").first).to_have_text("Saved: it holds from now on.")
    kept = requests.get(f"{station.page}/api/preferences", timeout=5).json()
    assert (kept["sharing"], kept["sharing_fields"]) == ("event", {"event.capacity_wh": False})
    fields = {one["name"]: one["on"] for one in requests.get(f"{station.page}/api/sharing", timeout=5).json()["fields"]}
    assert fields["event.capacity_wh"] is False
    assert fields["event.reduction"] is True
    assert not any(on for name, on in fields.items() if name.startswith(("hourly.", "full.")))
    page.reload()
    expect(page.locator("[name=sharing][value=event]")).to_be_checked()
    expect(page.get_by_label("The size of your battery.")).not_to_be_checked()
    expect(page.locator("#sharing-example")).to_contain_text('"power_w"')
    assert "capacity_wh" not in example(page)


def test_the_example_is_what_the_function_gives_and_nothing_else(station: Running, page: Page) -> None:
    page.locator("[name=sharing][value=event]").check()
    expect(page.locator("#sharing-example pre").nth(1)).to_be_visible()
    shown = [json.loads(text) for text in page.locator("#sharing-example pre").all_inner_texts()]
    told = requests.post(f"{station.page}/api/sharing/example", json={"level": "event", "fields": {}}, timeout=10).json()["records"]

    def timeless(records: list[dict[str, object]]) -> list[dict[str, object]]:
        return [{name: value for name, value in record.items() if name != "ts"} for record in records]

    assert timeless(shown) == timeless([one["record"] for one in told])


@pytest.mark.parametrize(
    "body",
    [
        {"sharing": "everything"},
        {},
        {"sharing": "event", "field": "no.such"},
        {"sharing": "full", "level": "full"},
    ],
)
def test_a_choice_that_is_not_one_changes_nothing(station: Running, body: dict[str, str]) -> None:
    headers = {"Origin": station.page, "HX-Request": "true"}
    for path in ("/preferences/sharing", "/preferences/sharing/example"):
        answer = requests.post(station.page + path, data={"csrf": "", **body}, headers=headers, timeout=10)
        assert answer.status_code == 422
    assert requests.get(f"{station.page}/api/preferences", timeout=5).json()["sharing"] == "none"


def test_without_an_aggregator_nothing_leaves_and_the_log_says_so(station: Running, page: Page) -> None:
    expect(page.locator(".link-line")).to_contain_text("nothing leaves this house")
    headers = {"Origin": station.page, "HX-Request": "true"}
    assert requests.post(f"{station.page}/preferences/sharing/forget", data={"csrf": ""}, headers=headers, timeout=10).status_code == 409
    page.goto(f"{station.page}/log")
    expect(page.locator("#sent")).to_contain_text("Nothing so far.")
    assert len(FIELDS) == page.goto(f"{station.page}/preferences").text().count('name="field"')  # type: ignore[union-attr]
