"""The report of one event, to read and to print."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from services.bus.messages.events import EventMessage, EventPerformance
from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.models import EventView
from services.gateway.pages import promise
from services.gateway.pages.site import Site
from services.gateway.problems import ApiError, Problem
from services.gateway.routes.events import EventId


def router(desk: Desk, site: Site) -> APIRouter:
    """The routes of reports."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/events/{event_id}/report", dependencies=[require("read")])
    async def report(request: Request, event_id: EventId) -> Response:
        found = await desk.recorder.get(f"/api/events/{event_id}/report")
        try:
            event = EventMessage.model_validate(found["event"])
            result = EventPerformance.model_validate(found["performance"]) if found.get("performance") else None
            decisions = [
                {"at": datetime.fromisoformat(one["ts"]), "mode": int(one["mode"]), "reason": str(one["reason"])}
                for one in found["decisions"]
            ]
        except (ValidationError, KeyError, TypeError, ValueError):
            raise ApiError(502, Problem(message="the recorder's answer is not a report", remedy="its log says more")) from None
        shown = EventView(
            **event.model_dump(exclude={"ts"}),
            avoided_wh=result.avoided_wh if result else None,
            reduction_wh=result.reduction_wh if result else None,
            covered=result.covered if result else None,
            final=result.final if result else False,
            intervals=result.intervals if result else (),
        )
        values: dict[str, Any] = {"event": shown, "result": result, "hours": promise.hour_by_hour(shown), "kept": promise.so_far(shown)}
        baseline = found.get("baseline") or {}
        days = [str(day) for day in baseline.get("days", ())]
        return site.render(request, "report.html", {**values, "decisions": turns(decisions), "days": days})

    return routes


def turns(decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The decisions that changed the mode: those between only change their figures."""
    return [one for i, one in enumerate(decisions) if i == 0 or one["mode"] != decisions[i - 1]["mode"]]
