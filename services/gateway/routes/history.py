"""The past, as the recorder tells it."""

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, ValidationError

from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.models import HistoryView
from services.gateway.problems import ApiError, Problem, documented
from services.gateway.routes.events import EventId

SERIES = ("load_w", "import_w", "p1_w", "p2_w", "p3_w", "p4_w", "soc_pct")
POINTS = 288
"""Without a step the span is cut into so many: five minutes each for a day."""
MAX_POINTS = 5000
MAX_SPAN = timedelta(days=400)

When = Annotated[AwareDatetime | None, Query(description="RFC 3339 with an offset; both left out, the last `hours`.")]


def _utc(field: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _outside(field, moment) from None


def _outside(field: str, moment: datetime) -> ApiError:
    remedy = "use a time between the years 2000 and 2200"
    return ApiError(422, Problem(message="in UTC it lies beyond the calendar", field=field, value=moment.isoformat(), remedy=remedy))


def router(desk: Desk) -> APIRouter:
    """The routes of the past."""
    routes = APIRouter(tags=["history"], dependencies=[require("read")])

    @routes.get(
        "/api/history",
        summary="Mean power and state of charge over the last hours, or from `start` to `end`",
        responses=documented(502, 503),
    )
    async def history(
        hours: Annotated[float, Query(gt=0, le=24 * 31)] = 24.0,
        start: When = None,
        end: When = None,
        step_s: Annotated[int | None, Query(ge=1, le=86_400, description="Without it, a 288th of the span.")] = None,
    ) -> HistoryView:
        if not desk.clock.known:
            raise ApiError(503, Problem(message="station time is not known yet", remedy="try again in a few seconds"))
        until = desk.clock.now() if end is None else _utc("end", end)
        try:
            since = until - timedelta(hours=hours) if start is None else _utc("start", start)
        except OverflowError:
            raise _outside("end", until) from None
        length_s = (until - since).total_seconds()
        if not 0 < length_s <= MAX_SPAN.total_seconds() or not 2000 <= since.year < 2200:
            shown = since.isoformat()
            raise ApiError(
                422, Problem(message="start lies before end, by at most 400 days", field="start", value=shown, remedy="mend one of them")
            )
        step = step_s or max(1, ceil(length_s / POINTS))
        if length_s / step > MAX_POINTS:
            raise ApiError(
                422, Problem(message=f"that is more than {MAX_POINTS} points", field="step_s", value=str(step), remedy="take longer steps")
            )
        found = await desk.recorder.get(
            "/api/series", {"names": ",".join(SERIES), "start": since.isoformat(), "end": until.isoformat(), "step_s": str(step)}
        )
        try:
            return HistoryView.model_validate(found)
        except ValidationError:
            raise ApiError(502, Problem(message="the recorder's answer is not a history", remedy="its log says more")) from None

    @routes.get(
        "/api/events/{event_id}/report",
        summary="What an event came to: baseline, performance, decisions",
        responses=documented(404, 502, 503),
    )
    async def report(event_id: EventId) -> dict[str, Any]:
        found = await desk.recorder.get(f"/api/events/{event_id}/report")
        if not isinstance(found, dict):
            raise ApiError(502, Problem(message="the recorder's answer is not a report", remedy="its log says more"))
        return found

    return routes
