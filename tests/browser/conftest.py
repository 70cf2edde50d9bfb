"""A house with a running gateway, and a real browser to look at it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import ARGUMENTS, EXECUTABLE
from tests.support.gateway import House


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # For a module and not longer: while Playwright is there its loop runs, and tests with a loop of their own cannot.
    if EXECUTABLE is None:
        reason = "no Chromium on this machine (Debian: apt install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as house:
        yield house


@pytest.fixture
def visit(browser: Browser, house: House) -> Iterator[Callable[..., Page]]:
    """Open the page; whatever it complains about on the console fails the test."""
    complaints: list[str] = []
    pages: list[Page] = []

    def visit(path: str = "/", width: int = 1280, height: int = 900, *, stopped_clock: bool = False, **options: object) -> Page:
        page = browser.new_page(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.set_default_timeout(8000)
        if stopped_clock:
            page.clock.install()
        page.goto(house.url + path)
        pages.append(page)
        return page

    yield visit
    for page in pages:
        page.close()
    # Answers that refuse, and a stream that ends with the gateway, are the tests' own doing.
    assert [text for text in complaints if not text.startswith(("Failed to load resource", "htmx:afterRequest", "htmx:sendError"))] == []
