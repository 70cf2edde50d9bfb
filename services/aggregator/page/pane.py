"""What every route of the page shares: the desk behind it, the door before it, and how a page is rendered."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Connection
from starlette.exceptions import HTTPException

from services.aggregator.desk import Desk
from services.aggregator.page import words
from services.aggregator.page.access import COOKIE, Access

HERE = Path(__file__).parent
ROWS = 100
"""On one page."""
T = TypeVar("T")


class Pane:
    """`nudge` is called when an event was called; `problem` says what is wrong with the broker."""

    def __init__(self, desk: Desk, access: Access, nudge: Callable[[], None], problem: Callable[[], str | None]) -> None:
        self.desk, self.access, self.nudge, self.problem = desk, access, nudge, problem
        self.clock = desk.context.clock
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.globals.update(words.all_words(desk.context.file.zone))
        self._templates = Jinja2Templates(env=environment)

    def render(self, request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The template `name` with `values`."""
        shared = {
            "network": self.desk.context.file.network,
            "now": self.clock.now(),
            "csrf": self.access.form_token(request.cookies.get(COOKIE)),
            "guarded": self.access.guarded,
            "problem": self.problem(),
        }
        return self._templates.TemplateResponse(request, name, shared | values, status)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` finds in the database, beside the loop."""
        return await asyncio.to_thread(self.desk.read, work)

    def check(self, request: Request, csrf: str) -> None:
        """Raise 403 for a form that is not this page's own."""
        if not self.access.form_holds(request.cookies.get(COOKIE), csrf):
            raise HTTPException(403, "the form is too old, or not this page's; go back, load the page again and repeat")
