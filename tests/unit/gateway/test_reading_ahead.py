"""The next rows are asked for before they are wanted, and thrown away if it turns out that they are not."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from services.gateway.aggregator_link.reading_ahead import ReadingAhead
from services.gateway.problems import ApiError, Problem
from services.gateway.recorder_link import RecorderLink
from tests.support.waiting import wait_for


class Pages(RecorderLink):
    """Three pages, 1 to 3; the cursor is the page's number."""

    def __init__(self) -> None:
        super().__init__("http://nowhere")
        self.asked: list[tuple[str, str]] = []
        self.away = False

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        assert path == "/api/rows"
        question = params or {}
        self.asked.append((question.get("after", "0"), question["limit"]))
        await asyncio.sleep(0)
        if self.away:
            raise ApiError(503, Problem(message="the recorder does not answer"))
        page = int(question.get("after", "0")) + 1
        return {"rows": [[page]], "cursor": str(page), "more": page < 3}


async def test_each_page_is_asked_for_once_and_before_it_is_wanted() -> None:
    pages = Pages()
    ahead = ReadingAhead(pages)
    assert (await ahead.ask({"limit": "9"}))["rows"] == [[1]]
    await wait_for(lambda: pages.asked == [("0", "9"), ("1", "9")], what="the second to be asked for")
    assert (await ahead.ask({"limit": "9", "after": "1"}))["rows"] == [[2]]
    assert (await ahead.ask({"limit": "9", "after": "2"}))["rows"] == [[3]]
    await asyncio.sleep(0)
    assert pages.asked == [("0", "9"), ("1", "9"), ("2", "9")], "after the last there is nothing to ask for"


async def test_other_questions_are_answered_as_if_nothing_lay_there() -> None:
    pages = Pages()
    ahead = ReadingAhead(pages)
    await ahead.ask({"limit": "9"})
    assert (await ahead.ask({"limit": "4", "after": "1"}))["rows"] == [[2]]
    assert (await ahead.ask({"limit": "4"}))["rows"] == [[1]]


async def test_what_failed_before_it_was_wanted_is_asked_again() -> None:
    pages = Pages()
    ahead = ReadingAhead(pages)
    await ahead.ask({"limit": "9"})
    pages.away = True
    await wait_for(lambda: len(pages.asked) == 2)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pages.away = False
    assert (await ahead.ask({"limit": "9", "after": "1"}))["rows"] == [[2]]
    pages.away = True
    with pytest.raises(ApiError):
        await ahead.ask({"limit": "9"})
