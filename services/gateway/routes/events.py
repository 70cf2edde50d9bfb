"""Demand-response events: the list, and the commands on them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Response
from fastapi.responses import JSONResponse

from services.bus.messages.events import EventCommand
from services.gateway import view
from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.models import EventView, Unsure
from services.gateway.problems import ApiError, Problem, documented

EventId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$", examples=["20260701-1600-3f9a12"])]
Action = Literal["cancel", "opt_out", "opt_in", "accept", "decline"]
_EXAMPLES = {
    "now": {"summary": "An event that starts now", "value": {"start": "now", "duration": "PT1H"}},
    "pledge": {
        "summary": "Four hours from 16:00, importing 150 W less than the baseline",
        "value": {"start": "16:00", "duration": "PT4H", "goal": {"kind": "pledge", "reduction_w": 150}},
    },
    "cancel": {"summary": "The end of an event", "value": {"action": "cancel", "id": "20260701-1600-3f9a12"}},
}
_UNSURE: dict[int | str, dict[str, Any]] = {202: {"model": Unsure, "description": "Sent, but the controller has not answered within 3 s."}}


def router(desk: Desk) -> APIRouter:
    """The routes of events."""
    routes = APIRouter(prefix="/api/events", tags=["events"])

    async def carry_out(command: EventCommand, done: int) -> Response:
        event_id, event = await desk.commands.send(command)
        shown = view.event_view(desk.heard, event_id)
        if event is None or shown is None:
            unsure = Unsure(id=event_id, message="sent, but the controller has not answered yet; the event list shows when it does")
            return JSONResponse(unsure.model_dump(), 202)
        return Response(shown.model_dump_json(), done, media_type="application/json")

    @routes.get("", dependencies=[require("read")], summary="The open events by their start, then the finished ones, the latest first")
    async def events() -> list[EventView]:
        return view.event_views(desk.heard)

    @routes.get("/{event_id}", dependencies=[require("read")], summary="One event", responses=documented(404))
    async def one(event_id: EventId) -> EventView:
        if (event := view.event_view(desk.heard, event_id)) is None:
            raise ApiError(404, Problem(message="there is no such event", field="event_id", value=event_id))
        return event

    @routes.post(
        "",
        dependencies=[require("events")],
        status_code=201,
        summary="Send an event command, and wait until the controller has answered it",
        response_model=EventView,
        responses={**_UNSURE, **documented(404, 409, 503)},
    )
    async def command(body: Annotated[EventCommand, Body(openapi_examples=_EXAMPLES)]) -> Response:
        return await carry_out(body, 201)

    @routes.post(
        "/{event_id}/{action}",
        dependencies=[require("events")],
        summary="Cancel an event, opt out of it or in again, or accept or decline one that asks",
        response_model=EventView,
        responses={**_UNSURE, **documented(404, 409, 503)},
    )
    async def act(event_id: EventId, action: Action) -> Response:
        return await carry_out(EventCommand(action=action, id=event_id), 200)

    return routes
