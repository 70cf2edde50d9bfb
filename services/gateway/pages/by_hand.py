"""A mode by hand, with an end; under *Preferences*."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.core.durations import parse_duration
from services.core.modes import Mode
from services.gateway import overriding
from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.languages.reason_patterns import N_
from services.gateway.pages.events import refusal
from services.gateway.pages.lengths import choices
from services.gateway.pages.site import Site, wants_piece
from services.gateway.problems import ApiError

LENGTHS = tuple(timedelta(minutes=minutes) for minutes in (15, 30, 60, 120, 240, 480))
MOST = timedelta(days=1)
WRONG_MODE = N_("Choose a mode that this station has.")
WRONG_LENGTH = N_("Choose for how long, up to a day.")
ASKED = N_("Asked for; the line below says what the station does.")
RELEASED = N_("The station decides by itself again.")


def values(desk: Desk, typed: dict[str, str] | None = None, errors: dict[str, str] | None = None, said: str = "") -> dict[str, Any]:
    """What the form shows."""
    controller = desk.state().controller
    return {
        "by_hand": {
            "typed": {"mode": "2", "duration": "PT1H", **(typed or {})},
            "errors": errors or {},
            "said": said,
            "modes": overriding.possible_modes(desk),
            "lengths": choices(LENGTHS, None),
            "manual": controller is not None and controller.reason_code == "manual",
            "controller": controller,
        }
    }


def router(desk: Desk, site: Site) -> APIRouter:
    """The route of the form."""
    routes = APIRouter(include_in_schema=False)

    def answer(request: Request, typed: dict[str, str], errors: dict[str, str], said: str) -> Response:
        if wants_piece(request):
            return site.render(request, "_by_hand.html", values(desk, typed, errors, said), status=422 if errors else 200)
        return site.told(request, said or "; ".join(errors.values()), back="/preferences", good=not errors)

    @routes.post("/preferences/by-hand", dependencies=[require("events")])
    async def take_over(request: Request) -> Response:
        given = await request.form()
        typed = {name: str(given.get(name, ""))[:20] for name in ("mode", "duration")}
        release = "release" in given
        mode, length, wrong = (None, MOST, {}) if release else read(typed)
        errors = {name: site.text(request, text) for name, text in wrong.items()}
        if not errors:
            try:
                await overriding.wish(desk, mode, length)
            except ApiError as error:
                errors["mode" if error.problem.field == "mode" else "form"] = refusal(site, request, error)
        return answer(request, {} if release else typed, errors, "" if errors else site.text(request, RELEASED if release else ASKED))

    return routes


def read(typed: dict[str, str]) -> tuple[Mode | None, timedelta, dict[str, str]]:
    """The mode and the length that were meant, and what is wrong by field."""
    errors: dict[str, str] = {}
    mode: Mode | None = None
    try:
        mode = Mode(int(typed["mode"]))
    except ValueError:
        errors["mode"] = WRONG_MODE
    try:
        length = parse_duration(typed["duration"])
    except ValueError:
        length = timedelta(0)
    if not timedelta(0) < length <= MOST:
        errors["duration"] = WRONG_LENGTH
    return mode, length, errors
