"""*History*: any span, all positions, energy per day, and the same as CSV."""

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.languages.reason_patterns import N_
from services.gateway.pages.site import Site
from services.gateway.problems import ApiError, Problem
from services.gateway.routes.history import SERIES

QUICK = {"day": (1, N_("24 hours")), "week": (7, N_("7 days")), "month": (30, N_("30 days")), "year": (365, N_("1 year"))}
MOST_DAYS = 366
BARS = 31
"""Up to so many days are drawn one by one; more are drawn by the month."""
ROWS = 2000
FLOWS = (
    ("load", N_("Load")),
    ("import", N_("Grid import")),
    ("p1", N_("P1, grid to load")),
    ("p2", N_("P2, grid to battery")),
    ("p3", N_("P3, battery to load")),
    ("p4", N_("P4, PV to battery")),
    ("avoided", N_("Avoided by the battery")),
)


@dataclass(frozen=True, slots=True)
class Span:
    """What is looked at, from local day to local day, both included; or the last hours."""

    start: datetime
    end: datetime
    quick: str | None
    errors: dict[str, str]


def span_of(quick: str | None, first: str, last: str, now: datetime, zone: ZoneInfo) -> Span:
    """The span that was asked for; what cannot be meant is named by its field and the last day is shown."""
    if not first and not last:
        chosen = quick if quick in QUICK else "day"
        return Span(now - timedelta(days=QUICK[chosen][0]), now, chosen, {})
    errors, days = {}, {}
    for name, text in (("first", first), ("last", last)):
        try:
            days[name] = date.fromisoformat(text)
        except ValueError:
            errors[name] = N_("Give a day as year-month-day, such as 2026-07-01.")
        else:
            if not 2000 <= days[name].year < 2200:
                errors[name] = N_("Give a day between the years 2000 and 2200.")
    if not errors and days["first"] > days["last"]:
        errors["last"] = N_("The last day must not lie before the first.")
    if not errors and (days["last"] - days["first"]).days >= MOST_DAYS:
        errors["last"] = N_("At most a year at a time.")
    if errors:
        return Span(now - timedelta(days=1), now, None, errors)
    start = datetime.combine(days["first"], time(0), tzinfo=zone)
    end = datetime.combine(days["last"] + timedelta(days=1), time(0), tzinfo=zone)
    return Span(start, min(end, now) if start < now else end, None, {})


def router(desk: Desk, site: Site) -> APIRouter:
    """The routes of the history."""
    routes = APIRouter(include_in_schema=False)

    def span(quick: str | None, first: str, last: str) -> Span | None:
        now = desk.moment().now
        return None if now is None else span_of(quick, first[:20], last[:20], now, desk.station.zone)

    @routes.get("/history", dependencies=[require("read")])
    async def page(request: Request, span_: str | None = None, first: str = "", last: str = "") -> Response:
        found = span(request.query_params.get("span", span_), first, last)
        energy, problem = (
            await energies(found) if found else ([], site.text(request, N_("Station time is not known yet; load the page anew.")))
        )
        zone = desk.station.zone
        days = {"first": first[:20], "last": last[:20]}
        if found and not any(days.values()):
            days = {"first": f"{found.start.astimezone(zone):%Y-%m-%d}", "last": f"{found.end.astimezone(zone):%Y-%m-%d}"}
        values = {
            "span": found,
            "typed": days,
            "quick": QUICK,
            "flows": FLOWS,
            "energy": energy,
            "problem": problem,
            "errors": {name: site.text(request, text) for name, text in found.errors.items()} if found else {},
            "query": str(request.url.query),
        }
        return site.render(request, "history.html", values, status=422 if found and found.errors else 200)

    async def energies(found: Span) -> tuple[list[dict[str, Any]], str]:
        by = "day" if found.end - found.start <= timedelta(days=BARS + 1) else "month"
        query = {"start": found.start.isoformat(), "end": found.end.isoformat(), "by": by}
        try:
            rows = await desk.recorder.get("/api/energy", query)
            return [
                {
                    "start": datetime.fromisoformat(row["start"]),
                    "by": by,
                    "covered": float(row["covered"]["metered"]),
                    **{f"{name}_wh": row[f"{name}_wh"] for name, _ in FLOWS},
                }
                for row in rows
            ], ""
        except ApiError as error:
            return [], error.problem.message
        except (KeyError, TypeError, ValueError):
            return [], "the recorder's answer is not a table of energy"

    @routes.get("/history.csv", dependencies=[require("read")])
    async def download(request: Request, first: str = "", last: str = "") -> Response:
        found = span(request.query_params.get("span"), first, last)
        if found is None or found.errors:
            text = next(iter(found.errors.values())) if found else N_("Station time is not known yet; load the page anew.")
            return site.told(request, site.text(request, text), back="/history", good=False)
        step_s = max(60, ceil((found.end - found.start).total_seconds() / ROWS / 60) * 60)
        query = {"names": ",".join(SERIES), "start": found.start.isoformat(), "end": found.end.isoformat(), "step_s": str(step_s)}
        series = await desk.recorder.get("/api/series", query)
        name = f"{desk.station.station}-{found.start:%Y%m%d}-{found.end:%Y%m%d}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        try:
            table = as_csv(series, desk.station.zone)
        except (KeyError, TypeError, ValueError, IndexError):
            raise ApiError(502, Problem(message="the recorder's answer is not a history", remedy="its log says more")) from None
        return Response(table, media_type="text/csv; charset=utf-8", headers=headers)

    return routes


def as_csv(series: dict[str, Any], zone: ZoneInfo) -> str:
    """Means over equal steps, local times with their offset; an empty cell is a gap."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["start", *SERIES])
    for i, at in enumerate(series["times"]):
        values = (series["series"][name][i] for name in SERIES)
        table.writerow([datetime.fromtimestamp(at, zone).isoformat(), *("" if value is None else value for value in values)])
    return out.getvalue()
