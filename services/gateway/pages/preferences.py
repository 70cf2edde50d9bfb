"""*Preferences*: how events are answered, what is kept for an outage, programme and rates, and a mode by hand."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.languages.reason_patterns import N_
from services.gateway.pages import by_hand, sharing
from services.gateway.pages import preference_forms as forms
from services.gateway.pages.events import refusal
from services.gateway.pages.lengths import choices, iso
from services.gateway.pages.site import Site, wants_piece
from services.gateway.problems import ApiError

LENGTHS = tuple(timedelta(minutes=minutes) for minutes in (30, 60, 120, 240, 360, 480))
DEADLINES = tuple(timedelta(minutes=minutes) for minutes in (0, 30, 60, 120, 240, 720, 1440, 2880))
SAVED = N_("Saved.")


def router(desk: Desk, site: Site) -> APIRouter:
    """The routes of preferences."""
    routes = APIRouter(include_in_schema=False)

    def answering(typed: dict[str, str] | None = None, errors: dict[str, str] | None = None, said: str = "") -> dict[str, Any]:
        chosen = desk.preferences
        filled = {**forms.typed_answering(chosen, iso), **(typed or {})}
        offered = {"lengths": choices(LENGTHS, chosen.duration), "deadlines": choices(DEADLINES, chosen.answer_before)}
        return {"answering": {"typed": filled, "errors": errors or {}, "said": said, **offered}}

    def battery(typed: dict[str, str] | None = None, errors: dict[str, str] | None = None, said: str = "") -> dict[str, Any]:
        filled = {**forms.typed_battery(desk.preferences), **(typed or {})}
        return {"battery": {"typed": filled, "errors": errors or {}, "said": said, "floor_pct": desk.station.battery.floor_pct}}

    def everything() -> dict[str, Any]:
        station = desk.station
        rules = station.programme.rules
        tariff = station.normal.tariff
        return {
            **answering(),
            **battery(),
            **by_hand.values(desk),
            **sharing.values(desk),
            "programme": {
                "name": station.programme.name,
                "title": rules.title if rules else station.programme.name,
                "pledge_w": station.programme.pledge_w,
            },
            "tariff": tariff,
            "policy": station.normal.policy.value,
        }

    def answer(request: Request, piece: str, values: dict[str, Any], status: int = 200) -> Response:
        if wants_piece(request):
            return site.render(request, piece, values, status=status)
        return site.render(request, "preferences.html", {**everything(), **values}, status=status)

    @routes.get("/preferences", dependencies=[require("read")])
    async def page(request: Request) -> Response:
        return site.render(request, "preferences.html", everything())

    async def save(request: Request, known: set[str], read: Any, shown: Any, piece: str) -> Response:
        given = await request.form()
        typed = {name: str(value).strip()[:80] for name, value in given.items() if name in known}
        section, errors = read(typed)
        if not set(given) <= known | {"csrf"}:
            section, errors = None, {**errors, "form": forms.UNKNOWN_FIELDS}
        errors = {
            name: site.text(request, text) if text in forms.WRONG.values() or text == forms.UNKNOWN_FIELDS else text
            for name, text in errors.items()
        }
        if section is not None:
            try:
                desk.choose(section)
            except ApiError as error:
                field = (error.problem.field or "").removeprefix("preferences.")
                errors[field if field in forms.WRONG else "form"] = refusal(site, request, error)
            else:
                return answer(request, piece, shown(said=site.text(request, SAVED)))
        return answer(request, piece, shown(typed=typed, errors=errors), 422)

    @routes.post("/preferences/answering", dependencies=[require("preferences")])
    async def save_answering(request: Request) -> Response:
        return await save(request, forms.ANSWERING, forms.answering, answering, "_answering.html")

    @routes.post("/preferences/battery", dependencies=[require("preferences")])
    async def save_battery(request: Request) -> Response:
        return await save(request, forms.BATTERY, forms.battery, battery, "_battery.html")

    return routes
