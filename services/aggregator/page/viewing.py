"""Looking at the fleet, its events and its settlements."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from sqlalchemy import Connection
from starlette.exceptions import HTTPException

from services.aggregator import exports
from services.aggregator.desk import Desk
from services.aggregator.page.pane import ROWS, Pane
from services.aggregator.store import fleet


def routes(pane: Pane) -> APIRouter:
    """Nothing here changes anything."""
    router = APIRouter()

    @router.get("/")
    async def fleet_page(
        request: Request,
        show: Annotated[str, Query(pattern="^(all|online|delivering)$")] = "all",
        after: Annotated[str, Query(max_length=32)] = "",
    ) -> HTMLResponse:
        def work(connection: Connection) -> dict[str, Any]:
            now = pane.clock.now()
            rows = fleet.stations(connection, now, show=show, after=after, limit=ROWS + 1)
            return {"totals": fleet.totals(connection, now), "events": fleet.events(connection, limit=12), "rows": rows}

        found = await pane.read(work)
        more = found["rows"][ROWS - 1].name if len(found["rows"]) > ROWS else None
        return pane.render(request, "fleet.html", **(found | {"rows": found["rows"][:ROWS], "more": more, "show": show, "after": after}))

    @router.get("/events/{event_id}")
    async def event_page(
        request: Request, event_id: str, after: Annotated[str, Query(max_length=32)] = "", again: Annotated[bool, Query()] = False
    ) -> HTMLResponse:
        def work(connection: Connection) -> tuple[Any, Any]:
            return fleet.events(connection, event_id=event_id), fleet.answers_to(connection, event_id, after=after, limit=ROWS + 1)

        events, answers = await pane.read(work)
        if not events:
            raise HTTPException(404, "there is no such event")
        more = answers[ROWS - 1].station if len(answers) > ROWS else None
        return pane.render(request, "event.html", event=events[0], answers=answers[:ROWS], more=more, again=again)

    @router.get("/settlements.{form}")
    async def settlements(form: str, event: Annotated[str | None, Query(max_length=64)] = None) -> StreamingResponse:
        if form not in ("csv", "json"):
            raise HTTPException(404, "ask for settlements.csv or settlements.json")
        lines = exports.csv_lines if form == "csv" else exports.json_lines
        kind = "text/csv" if form == "csv" else "application/json"
        headers = {"content-disposition": f'attachment; filename="settlements.{form}"'}
        return StreamingResponse(_chunks(pane.desk, lines, event), media_type=kind, headers=headers)

    return router


async def _chunks(desk: Desk, lines: Callable[[Any], Iterator[str]], event_id: str | None) -> AsyncIterator[str]:
    """The export in pieces, each read beside the loop, so that a large fleet's does not stand in memory."""
    with desk.engine.connect() as connection:
        source = lines(fleet.settlements(connection, event_id))
        while piece := await asyncio.to_thread(_some, source):
            yield piece


def _some(source: Iterator[str]) -> str:
    return "".join(islice(source, 500))
