"""*Events*: what comes, what runs and what was; taking part or not; starting one."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import Response

from services.bus.messages.events import EventCommand
from services.core.problems import field_problems
from services.gateway import view
from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.languages.reason_patterns import N_
from services.gateway.pages import promise
from services.gateway.pages.site import Site, wants_piece
from services.gateway.problems import ApiError
from services.gateway.routes.events import Action, EventId

PAST = 50
DURATIONS = ("PT30M", "PT1H", "PT2H", "PT4H")
DONE: dict[str, str] = {
    "cancel": N_("The event is cancelled."),
    "opt_out": N_("Not this time: you are out of this event."),
    "opt_in": N_("You take part again."),
    "accept": N_("You take part in this event."),
    "decline": N_("You have declined this event."),
}
WRONG = {
    "start": N_("Give a time of the day such as 16:00, or choose to start now."),
    "duration": N_("Choose how long it lasts."),
    "power_w": N_("Give the watts as a number from 0 to 100 000."),
    "goal": N_("Choose a goal."),
}
WAITING = N_("Sent; the controller has not answered yet. The list shows when it does.")
FIELDS = {"when", "start", "duration", "goal", "power_w", "csrf"}


def router(desk: Desk, site: Site) -> APIRouter:
    """The routes of events."""
    routes = APIRouter(include_in_schema=False)

    def shown() -> dict[str, Any]:
        events = view.event_views(desk.heard)
        return {
            "coming": [event for event in events if view.is_open(event) and event.status != "ongoing"],
            "running": [event for event in events if event.status == "ongoing"],
            "past": [event for event in events if not view.is_open(event)][:PAST],
            "so_far": promise.so_far,
            "called": desk.sharing.called,
            "hours": promise.hour_by_hour,
            "now": desk.moment().now,
        }

    def form(typed: dict[str, str] | None = None, errors: dict[str, str] | None = None) -> dict[str, Any]:
        goal = desk.preferences.goal
        power_w = goal.reduction_w if goal.reduction_w is not None else goal.import_w
        first = {
            "when": "now",
            "start": "",
            "duration": "PT1H",
            "goal": goal.kind.value,
            "power_w": "" if power_w is None else f"{power_w:g}",
        }
        return {"typed": {**first, **(typed or {})}, "errors": errors or {}, "durations": DURATIONS}

    @routes.get("/events", dependencies=[require("read")])
    async def page(request: Request) -> Response:
        return site.render(request, "events.html", {**shown(), **form()})

    @routes.get("/events/list", dependencies=[require("read")])
    async def listed(request: Request) -> Response:
        return site.render(request, "_events.html", shown())

    @routes.post("/events/start", dependencies=[require("events")])
    async def start_now(request: Request) -> Response:
        duration = str((await request.form()).get("duration", ""))
        try:
            command = EventCommand.model_validate({"start": "now", "duration": duration})
            _, event = await desk.commands.send(command)
        except ValidationError:
            return site.told(request, site.text(request, WRONG["duration"]), back="/", good=False)
        except ApiError as error:
            return site.told(request, refusal(site, request, error), back="/", good=False, status=error.status)
        if event is None:
            return site.told(request, site.text(request, WAITING), back="/")
        until = site.words(request).clock(event.end)
        return site.told(request, site.text(request, N_("The event has begun and lasts until {until}."), until=until), back="/")

    @routes.post("/events", dependencies=[require("events")])
    async def schedule(request: Request) -> Response:
        given = await request.form()
        typed, values, errors = read(given)
        if not errors:
            try:
                _, event = await desk.commands.send(EventCommand.model_validate(values))
            except ValidationError as invalid:
                for problem in field_problems(invalid):
                    name = str(problem.location[0]) if problem.location else ""
                    errors.setdefault(name if name in WRONG else "form", WRONG.get(name, problem.remedy))
            except ApiError as error:
                field = (error.problem.field or "").split(".")[0]
                errors[field if field in ("start", "duration") else "form"] = refusal(site, request, error)
            else:
                return answered(request, event is not None)
        translated = {name: site.text(request, text) if text in WRONG.values() else text for name, text in errors.items()}
        values_shown = {**shown(), **form(typed, translated)}
        return site.render(request, "_schedule.html" if wants_piece(request) else "events.html", values_shown, status=422)

    def answered(request: Request, sure: bool) -> Response:
        text = site.text(request, N_("The event is on the list.") if sure else WAITING)
        if wants_piece(request):
            return site.render(request, "_schedule.html", {**form(), "said": text})
        return site.told(request, text, back="/events")

    @routes.post("/events/{event_id}/{action}", dependencies=[require("events")])
    async def act(request: Request, event_id: EventId, action: Action) -> Response:
        try:
            _, event = await desk.commands.send(EventCommand(action=action, id=event_id))
        except ApiError as error:
            return site.told(request, refusal(site, request, error), back="/events", good=False, status=error.status)
        return site.told(request, site.text(request, DONE[action] if event else WAITING), back="/events")

    return routes


def refusal(site: Site, request: Request, error: ApiError) -> str:
    """Why it was not done, with the remedy."""
    parts = [error.problem.message]
    if error.problem.remedy and error.problem.remedy not in error.problem.message:
        parts.append(error.problem.remedy)
    return site.text(request, N_("Not done: {why}."), why="; ".join(parts))


def read(given: FormData) -> tuple[dict[str, str], dict[str, Any], dict[str, str]]:
    """What was typed, the command's fields from it, and what is wrong by field."""
    typed = {name: str(value).strip()[:80] for name, value in given.items() if name in FIELDS}
    errors = {} if set(given) <= FIELDS else {"form": N_("The form has fields that are not known here; load the page anew.")}
    goal, power = typed.get("goal", ""), typed.get("power_w", "").replace(",", ".")
    values: dict[str, Any] = {
        "start": "now" if typed.get("when") != "at" else typed.get("start", ""),
        "duration": typed.get("duration", ""),
    }
    if not values["start"]:
        errors["start"] = WRONG["start"]
    if goal == "minimize":
        values["goal"] = {"kind": goal}
    elif goal in ("pledge", "limit"):
        try:
            values["goal"] = {"kind": goal, "reduction_w" if goal == "pledge" else "import_w": float(power)}
        except ValueError:
            errors["power_w"] = WRONG["power_w"]
        else:
            if not 0 <= float(power) <= 100_000:
                errors["power_w"] = WRONG["power_w"]
    else:
        errors["goal"] = WRONG["goal"]
    return typed, values, errors
