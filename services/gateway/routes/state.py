"""The present: state, preferences, health, and the stream that keeps pages up to date."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter

from services.core.config.policy import PreferencesSection
from services.gateway import view
from services.gateway.desk import Desk
from services.gateway.models import EventView, HealthView, StateView
from services.gateway.problems import ApiError, Problem, documented
from services.gateway.stream import Full, Source, Stream

_EVENTS = TypeAdapter(list[EventView])


def stream_of(desk: Desk) -> Stream:
    """The stream of `desk`: `state`, and `events` whenever they change."""
    heard = desk.heard
    return Stream(
        (
            Source(
                "state",
                lambda: (heard.state_version, view.freshness(heard, desk.station, desk.moment())),
                lambda: desk.state().model_dump_json(),
            ),
            Source("events", lambda: heard.events_version, lambda: _EVENTS.dump_json(view.event_views(heard)).decode()),
        )
    )


def router(desk: Desk, stream: Stream) -> APIRouter:
    """The routes of the present."""
    routes = APIRouter(tags=["state"])

    @routes.get("/api/state", summary="Everything the page shows of the present")
    async def state() -> StateView:
        return desk.state()

    @routes.get("/api/preferences", summary="What the person chose")
    async def preferences() -> PreferencesSection:
        return desk.preferences

    @routes.patch(
        "/api/preferences",
        summary="Change some of what the person chose; what is left out stays as it is",
        responses=documented(503),
    )
    async def choose(
        body: Annotated[PreferencesSection, Body(examples=[{"participation": "ask", "answer_before": "PT2H"}])],
    ) -> PreferencesSection:
        return desk.choose(body)

    @routes.get(
        "/api/stream",
        summary="Server-sent events: `state` and `events`, in full on connection and then on change; `beat` every 5 s",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **documented(503)},
    )
    async def live() -> StreamingResponse:
        try:
            frames = stream.admit()
        except Full:
            raise ApiError(503, Problem(message="too many pages are open", remedy="close one")) from None
        return StreamingResponse(frames, media_type="text/event-stream")

    @routes.get("/healthz", summary="Whether the gateway runs, and hears the bus")
    async def healthz() -> HealthView:
        if desk.bus.connected:
            return HealthView(status="ok", bus=True, detail="")
        why = "the broker turns us away: the gateway's log says why" if desk.bus.turned_away else "there is no connection to the broker"
        return HealthView(status="degraded", bus=False, detail=why)

    return routes
