"""What leaves the house: the choice, an example of it, and the log of what left."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import StreamingResponse

from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.problems import ApiError, Problem, documented
from services.gateway.sharing_models import ExampleRequest, ExampleView, Forgotten, SentPage, SentView, SharingView

_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
_EXAMPLE = {"level": "hourly", "fields": {"hourly.soc_pct": False}}


def router(desk: Desk) -> APIRouter:
    """The routes of sharing."""
    routes = APIRouter(prefix="/api/sharing", tags=["sharing"])
    sharing = desk.sharing

    @routes.get("", dependencies=[require("read")], summary="What is shared field by field, and how the link to the aggregator stands")
    async def view() -> SharingView:
        return sharing.view(desk.preferences)

    @routes.post(
        "/example",
        dependencies=[require("read")],
        summary="Exactly what would be sent now under a choice of level and fields; nothing is sent",
        responses=documented(503),
    )
    async def example(body: Annotated[ExampleRequest, Body(examples=[_EXAMPLE])]) -> ExampleView:
        if not desk.clock.known:
            raise ApiError(503, Problem(message="station time is not known yet", remedy="try again in a few seconds"))
        return await sharing.example(body.level, body.fields)

    @routes.get(
        "/sent",
        dependencies=[require("read")],
        summary="What left this house, when, and to whom, the latest first",
        responses=documented(503),
    )
    async def sent(
        before: Annotated[str | None, Query(pattern=r"^\d{1,15}$", description="The `next` of the last answer.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> SentPage:
        try:
            found = await asyncio.to_thread(sharing.sent.page, None if before is None else int(before), limit)
        except OSError as error:
            raise _unreadable(error) from None
        views = tuple(
            SentView(
                ts=one.ts, to=one.to, route=one.route, kind=one.kind, records=one.records, bytes=one.bytes,
                outcome=one.outcome, attempts=one.attempts, body=one.body,
            )
            for one in found
        )  # fmt: skip
        return SentPage(sent=views, next=str(found[-1].number) if len(found) == limit else None)

    @routes.get(
        "/sent.csv",
        dependencies=[require("read")],
        summary="All of that as CSV, the oldest first",
        response_class=StreamingResponse,
        responses=_CSV,
    )
    async def sent_csv() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            found = sharing.sent.lines()
            while (line := await asyncio.to_thread(next, found, None)) is not None:
                yield line

        headers = {"content-disposition": 'attachment; filename="what-left-this-house.csv"'}
        return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)

    @routes.post(
        "/forget",
        dependencies=[require("preferences")],
        summary="Ask the aggregator to delete all that it has of this station",
        responses=documented(409, 502, 503),
    )
    async def forget() -> Forgotten:
        try:
            result = None if sharing.link is None else await sharing.link.forget()
        except OSError as error:
            # What cannot be noted does not leave.
            raise _unreadable(error) from None
        if result is None:
            raise ApiError(409, Problem(message="no aggregator receives data of this station", remedy="there is nothing to be deleted"))
        if result.outcome.value != "sent":
            raise ApiError(502, Problem(message=f"the aggregator has not taken the request: {result.detail}", remedy="try again later"))
        return Forgotten(outcome="sent", detail="the aggregator has taken the request; what is shared from now on is your choice of level")

    return routes


def _unreadable(error: OSError) -> ApiError:
    return ApiError(503, Problem(message=f"the log of what was sent cannot be used: {error}", remedy="is the disk full?"))
