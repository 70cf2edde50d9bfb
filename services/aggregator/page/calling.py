"""Calling and cancelling events."""

import asyncio
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from services.aggregator.calling import Typed, new_id
from services.aggregator.page.pane import Pane
from services.aggregator.store import events
from services.core.events import BadValue


def routes(pane: Pane) -> APIRouter:
    """Every form carries its token."""
    router = APIRouter()

    @router.get("/schedule")
    async def schedule_page(request: Request) -> HTMLResponse:
        # The form brings its event's id: sent twice, by a double click or a browser that repeats, it calls one event.
        event_id = new_id(pane.clock.now(), secrets.token_hex(6))
        return pane.render(request, "schedule.html", typed=Typed("now", "PT1H"), event_id=event_id, refusal=None)

    @router.post("/schedule")
    async def schedule(
        request: Request,
        csrf: Annotated[str, Form()] = "",
        event_id: Annotated[str, Form(max_length=64)] = "",
        start: Annotated[str, Form(max_length=80)] = "",
        duration: Annotated[str, Form(max_length=40)] = "",
        goal: Annotated[str, Form(max_length=20)] = "",
        watts: Annotated[str, Form(max_length=20)] = "",
        notice: Annotated[str, Form(max_length=500)] = "",
        stations: Annotated[str, Form(max_length=20_000)] = "",
        test: Annotated[bool, Form()] = False,
    ) -> Response:
        pane.check(request, csrf)
        typed = Typed(start, duration, goal, watts, test=test, notice=notice, stations=tuple(stations.replace(",", " ").split()))
        try:
            event = await asyncio.to_thread(pane.desk.call, typed, event_id or None)
        except BadValue as bad:
            if await pane.read(lambda connection: events.get(connection, event_id)) is not None:
                return RedirectResponse(f"/events/{event_id}?again=true", 303)
            return pane.render(request, "schedule.html", 422, typed=typed, event_id=event_id, refusal=bad)
        pane.nudge()
        return RedirectResponse(f"/events/{event.id}", 303)

    @router.post("/events/{event_id}/cancel")
    async def cancel(request: Request, event_id: str, csrf: Annotated[str, Form()] = "") -> Response:
        pane.check(request, csrf)
        try:
            await asyncio.to_thread(pane.desk.cancel, event_id)
        except BadValue as bad:
            raise HTTPException(409, str(bad)) from None
        pane.nudge()
        return RedirectResponse(f"/events/{event_id}", 303)

    return router
