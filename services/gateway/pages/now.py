"""*Now*: what flows where, why, and the event that runs or comes next. And the switch of the language."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import view
from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.languages import language
from services.gateway.models import EventView
from services.gateway.pages import promise
from services.gateway.pages.site import PAGES, Site, to

YEAR_S = 365 * 86_400


def router(desk: Desk, site: Site) -> APIRouter:
    """The routes of the first page."""
    routes = APIRouter(include_in_schema=False)

    def card() -> dict[str, object]:
        event = first_open(view.event_views(desk.heard))
        kept = promise.so_far(event) if event else None
        return {"event": event, "kept": kept, "called": desk.sharing.called, "now": desk.moment().now}

    @routes.get("/", dependencies=[require("read")])
    async def now(request: Request) -> Response:
        return site.render(request, "now.html", {**card(), "goal": desk.preferences.goal})

    @routes.get("/card", dependencies=[require("read")])
    async def event_card(request: Request) -> Response:
        return site.render(request, "_card.html", card())

    @routes.get("/language/{code}", dependencies=[require("read")])
    async def switch(code: str, back: str = "/") -> Response:
        known = {path for path, _, _ in PAGES}
        answer = to(back if back in known else "/")
        if code in language.LANGUAGES:
            answer.set_cookie(language.COOKIE, code, max_age=YEAR_S, httponly=True, samesite="strict")
        return answer

    return routes


def first_open(events: list[EventView]) -> EventView | None:
    """The event that runs, else the one that comes next."""
    open_ones = [event for event in events if view.is_open(event)]
    return next((event for event in open_ones if event.status == "ongoing"), open_ones[0] if open_ones else None)
