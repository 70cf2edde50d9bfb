"""Calling and cancelling events."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from services.aggregator.calling import Typed
from services.aggregator.page.pane import Pane
from services.core.events import BadValue


def routes(pane: Pane) -> APIRouter:
    """Every form carries its token."""
    router = APIRouter()

    @router.get("/schedule")
    async def schedule_page(request: Request) -> HTMLResponse:
        return pane.render(request, "schedule.html", typed=Typed("now", "PT1H"), refusal=None)

    @router.post("/schedule")
    async def schedule(
        request: Request,
        csrf: Annotated[str, Form()] = "",
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
            event = await asyncio.to_thread(pane.desk.call, typed)
        except BadValue as bad:
            return pane.render(request, "schedule.html", 422, typed=typed, refusal=bad)
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
