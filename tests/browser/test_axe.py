"""No page hinders people: axe finds nothing serious, in both colour schemes, on a wide page and on a phone."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.test_page import PATHS
from tests.browser.test_pages import performance
from tests.support.gateway import House

SERIOUS = ("serious", "critical")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_serious(house: House, visit: Callable[..., Page], path: str, scheme: str) -> None:
    house.readings(p1=90.0, p2=0.0, p3=0.0, p4=12.0)
    house.relay("p1", on=True, fault="late")
    house.relay("p2", on=False)
    house.decision(phase="ongoing", mode=5, reason="resting at 67 %", reason_code="resting")
    house.event("running", status="ongoing", start_s=-7200, lasts_s=14400, goal={"kind": "pledge", "reduction_w": 150})
    house.event("asks", status="pending", start_s=86400, answer_by="2030-01-01T00:00:00Z", unanswered="decline")
    house.event("over", status="refused", start_s=-86400, status_reason="it overlaps")
    performance(house, "running")
    for width in (1280, 360):
        page = visit(path, width=width, color_scheme=scheme, reduced_motion="reduce")
        expect(page.locator("#link")).to_have_text("live")
        if path in ("/", "/history"):
            expect(page.locator("#chart canvas")).to_be_visible()
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"][:150] for node in one["nodes"]]) for one in found if one["impact"] in SERIOUS] == []
