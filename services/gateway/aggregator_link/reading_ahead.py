"""Asks the recorder for the next rows while those before them are packed and sent."""

import asyncio
from collections.abc import Mapping
from typing import Any

from services.gateway.recorder_link import RecorderLink


class ReadingAhead:
    """Belongs to the event loop. One follower, one answer ahead.

    An answer that lay here for long is as good as a new one: what came late meanwhile is told again by a later answer.
    """

    def __init__(self, recorder: RecorderLink) -> None:
        self._recorder = recorder
        self._ahead: tuple[Mapping[str, str], asyncio.Task[Any]] | None = None

    async def ask(self, question: Mapping[str, str]) -> Any:
        """The answer to `question`; if there is more, what follows is asked for by the same `limit`. Raises ApiError."""
        answer = await (self._taken(question) or self._recorder.get("/api/rows", question))
        if isinstance(answer, dict) and answer.get("more") is True and isinstance(cursor := answer.get("cursor"), str):
            following = {"limit": question["limit"], "after": cursor}
            task = asyncio.create_task(self._recorder.get("/api/rows", following))
            task.add_done_callback(_seen)
            self._ahead = following, task
        return answer

    def _taken(self, question: Mapping[str, str]) -> asyncio.Task[Any] | None:
        if self._ahead is None:
            return None
        asked, task = self._ahead
        self._ahead = None
        if asked == question and not (task.done() and (task.cancelled() or task.exception())):
            return task
        task.cancel()
        return None


def _seen(task: asyncio.Task[Any]) -> None:
    # One that failed is asked again by whoever wants it; nobody need hear of one that nobody wants.
    if not task.cancelled():
        task.exception()
