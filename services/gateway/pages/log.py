"""*Log*: decisions and faults in plain words, and the same as CSV."""

import asyncio
import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.access.rules import require
from services.gateway.csv_cells import safe
from services.gateway.desk import Desk
from services.gateway.languages.reason_patterns import N_
from services.gateway.pages.sharing import KINDS
from services.gateway.pages.site import Site
from services.gateway.problems import ApiError, Problem

SPANS = {"6": N_("6 hours"), "24": N_("24 hours"), "72": N_("3 days"), "168": N_("7 days")}
MOST = 400
"""Lines on one page; the download has all."""
SENT = 50
"""The latest of what left the house; the download has all."""
KIND_NAMES = {kind.value: name for kind, name in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened."""

    at: datetime
    kind: Literal["decision", "fault"]
    text: str
    mode: int | None = None
    code: str = ""
    phase: str | None = None
    service: str = ""


def decisions(states: list[dict[str, Any]]) -> list[Line]:
    """The decisions, oldest first, without those that merely change their figures."""
    lines: list[Line] = []
    for one in states:
        said = one["payload"]
        line = Line(
            datetime.fromisoformat(one["ts"]),
            "decision",
            str(said["reason"]),
            said["mode_commanded"],
            str(said.get("reason_code", "")),
            said.get("phase"),
        )
        if not lines or (line.mode, line.code, line.phase) != (lines[-1].mode, lines[-1].code, lines[-1].phase):
            lines.append(line)
    return lines


def faults(service: str, errors: list[dict[str, Any]]) -> list[Line]:
    """What a service refused or what went wrong with it, oldest first."""
    return [Line(datetime.fromisoformat(one["ts"]), "fault", _words(one["payload"]), service=service) for one in errors]


def relay_faults(position: str, states: list[dict[str, Any]]) -> list[Line]:
    """The faults of a relay, each once."""
    lines, before = [], None
    for one in states:
        fault = one["payload"].get("fault")
        if fault and fault != before:
            lines.append(Line(datetime.fromisoformat(one["ts"]), "fault", str(fault), service=position.upper()))
        before = fault
    return lines


def _words(error: dict[str, Any]) -> str:
    parts = [str(error["message"])]
    if error.get("field"):
        parts.append(f"{error['field']}: {error.get('value')}")
    if error.get("remedy"):
        parts.append(str(error["remedy"]))
    return "; ".join(parts)


def router(desk: Desk, site: Site) -> APIRouter:
    """The routes of the log."""
    routes = APIRouter(include_in_schema=False)

    async def lines(hours: int) -> list[Line]:
        if (now := desk.moment().now) is None:
            return []
        query = {"start": (now - timedelta(hours=hours)).isoformat(), "end": (now + timedelta(seconds=1)).isoformat()}

        async def states(topic: str) -> list[dict[str, Any]]:
            found = await desk.recorder.get("/api/states", {"topic": topic, **query})
            return found if isinstance(found, list) else []

        services = sorted(desk.heard.services)
        positions = desk.station.positions.switched()
        asked = ["controller/state", *(f"service/{name}/error" for name in services), *(f"relay/{name}/state" for name in positions)]
        told = await asyncio.gather(*(states(topic) for topic in asked))
        found = decisions(told[0])
        for name, errors in zip(services, told[1:], strict=False):
            found += faults(name, errors)
        for name, one in zip(positions, told[1 + len(services) :], strict=True):
            found += relay_faults(name, one)
        return sorted(found, key=lambda line: line.at, reverse=True)

    async def left() -> list[Any]:
        try:
            return list(await asyncio.to_thread(desk.sharing.sent.page, None, SENT))
        except OSError:
            return []

    async def shown(request: Request) -> dict[str, Any]:
        hours = request.query_params.get("hours", "24")
        hours = hours if hours in SPANS else "24"
        kind = request.query_params.get("kind", "")
        values: dict[str, Any] = {"hours": hours, "spans": SPANS, "kind": kind if kind in ("decision", "fault") else "", "problem": ""}
        try:
            found = await lines(int(hours))
        except (ApiError, KeyError, TypeError, ValueError) as error:
            found, values["problem"] = [], str(error) if isinstance(error, ApiError) else "the recorder's answer cannot be used"
        wanted = [line for line in found if not values["kind"] or line.kind == values["kind"]]
        values["sent"], values["kinds"] = await left(), KIND_NAMES
        return {**values, "lines": wanted[:MOST], "more": max(0, len(wanted) - MOST)}

    @routes.get("/log", dependencies=[require("read")])
    async def page(request: Request) -> Response:
        return site.render(request, "log.html", await shown(request))

    @routes.get("/log.csv", dependencies=[require("read")])
    async def download(request: Request) -> Response:
        hours = request.query_params.get("hours", "24")
        try:
            found = await lines(int(hours) if hours in SPANS else 24)
        except (KeyError, TypeError, ValueError):
            raise ApiError(502, Problem(message="the recorder's answer is not a log", remedy="its log says more")) from None
        words = site.words(request)
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["time", "kind", "from", "mode", "text"])
        for line in reversed(found):
            text = words.reason(line.code, line.text) if line.kind == "decision" else line.text
            row = [line.at.astimezone(desk.station.zone).isoformat(), line.kind, line.service or "controller", line.mode, text]
            table.writerow([safe(cell) for cell in row])
        headers = {"content-disposition": f'attachment; filename="{desk.station.station}-log.csv"'}
        return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)

    return routes
