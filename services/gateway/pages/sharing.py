"""What leaves the house: level and single fields, with an example of exactly what would be sent; under *Preferences*."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from services.core.config.policy import PreferencesSection
from services.core.preferences import SharingLevel
from services.core.sharing_fields import FIELDS, RecordKind
from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.languages.reason_patterns import N_
from services.gateway.pages.events import refusal
from services.gateway.pages.site import Site, wants_piece
from services.gateway.problems import ApiError
from services.gateway.sharing_models import ExampleRecord

NAMES = frozenset(one.name for one in FIELDS)
KNOWN = {"sharing", "field", "share_past", "csrf"}
WRONG_LEVEL = N_("Choose one of the levels.")
WRONG_FIELDS = N_("The form has fields that are not known here; load the page anew.")
SAVED = N_("Saved: it holds from now on.")
ASKED = N_("The aggregator has taken the request to delete what it has of this station.")
KINDS = {
    RecordKind.ANSWERS: N_("Your answer to an event"),
    RecordKind.EVENT: N_("What an event came to"),
    RecordKind.HOURLY: N_("Each hour"),
    RecordKind.FULL: N_("Every reading"),
    RecordKind.REGISTRATION: N_("What the station is able to do"),
    RecordKind.ONLINE: N_("Whether it is connected"),
}
EXAMPLES = {
    **{kind.value: text for kind, text in KINDS.items()},
    "table live": N_("The aggregator's live table"),
    "table analysis": N_("The aggregator's analysis table"),
}
LEVELS = {
    SharingLevel.NONE: (N_("Nothing but your answers"), N_("Only whether you take part in an event.")),
    SharingLevel.EVENT: (N_("Events"), N_("What each event came to: baseline, reduction, performance.")),
    SharingLevel.HOURLY: (N_("Hours"), N_("And each hour's energy, and the charge at its end.")),
    SharingLevel.FULL: (N_("Everything"), N_("And every reading, as it was recorded.")),
}


def switches_of(on: frozenset[str]) -> dict[str, bool]:
    """The switches that differ from what a level holds by itself."""
    return {one.name: one.name in on for one in FIELDS if (one.name in on) is not one.default_on}


def read(given: FormData) -> tuple[SharingLevel | None, dict[str, bool], dict[str, str]]:
    """The level and the switches that were meant, and what is wrong."""
    names = frozenset(str(value) for value in given.getlist("field"))
    errors = {} if set(given) <= KNOWN and names <= NAMES else {"form": WRONG_FIELDS}
    try:
        level = SharingLevel(str(given.get("sharing", "")))
    except ValueError:
        return None, {}, {**errors, "sharing": WRONG_LEVEL}
    return level, switches_of(names & NAMES), errors


def values(
    desk: Desk,
    level: SharingLevel | None = None,
    switches: Mapping[str, bool] | None = None,
    errors: dict[str, str] | None = None,
    said: str = "",
) -> dict[str, Any]:
    """What the form shows."""
    chosen = desk.preferences
    switched = chosen.sharing_fields if switches is None else switches
    groups = [
        (kind.value, KINDS[kind], [(one, switched.get(one.name, one.default_on)) for one in FIELDS if one.kind is kind])
        for kind in (RecordKind.ANSWERS, RecordKind.EVENT, RecordKind.HOURLY, RecordKind.FULL)
    ]
    return {
        "sharing": {
            "typed": {"sharing": (level or chosen.sharing).value},
            "errors": errors or {},
            "said": said,
            "levels": LEVELS,
            "groups": groups,
            "changed": bool(switched),
            "link": desk.sharing.view(chosen).link,
        }
    }


def in_words(record: ExampleRecord) -> tuple[str, str]:
    """What an example is, and the record as it would be sent."""
    return EXAMPLES.get(record.kind, record.kind), json.dumps(record.record, indent=2, ensure_ascii=False)


def router(desk: Desk, site: Site) -> APIRouter:
    """The routes of the form."""
    routes = APIRouter(include_in_schema=False)

    @routes.post("/preferences/sharing/example", dependencies=[require("read")])
    async def example(request: Request) -> Response:
        level, switches, errors = read(await request.form())
        if level is None or errors:
            text = site.text(request, next(iter(errors.values())))
            return site.render(request, "_example.html", {"records": [], "none_because": text}, status=422)
        found = await desk.sharing.example(level, switches)
        shown = {"records": [in_words(one) for one in found.records], "none_because": found.none_because}
        return site.render(request, "_example.html", shown)

    @routes.post("/preferences/sharing", dependencies=[require("preferences")])
    async def save(request: Request) -> Response:
        given = await request.form()
        level, switches, wrong = read(given)
        errors = {name: site.text(request, text) for name, text in wrong.items()}
        if level is not None and not errors:
            section = PreferencesSection(sharing=level, sharing_fields=switches)
            try:
                desk.choose(section, share_past="share_past" in given)
            except ApiError as error:
                errors["form"] = refusal(site, request, error)
        said = "" if errors else site.text(request, SAVED)
        if wants_piece(request):
            return site.render(request, "_sharing.html", values(desk, level, switches, errors, said), status=422 if errors else 200)
        return site.told(request, said or "; ".join(errors.values()), back="/preferences", good=not errors)

    @routes.post("/preferences/sharing/forget", dependencies=[require("preferences")])
    async def forget(request: Request) -> Response:
        link = desk.sharing.link
        result = None if link is None else await link.forget()
        if result is None:
            return site.told(
                request, site.text(request, N_("No aggregator receives data of this station.")), back="/preferences", good=False, status=409
            )
        if result.outcome.value != "sent":
            text = site.text(request, N_("Not done: {why}."), why=result.detail)
            return site.told(request, text, back="/preferences", good=False, status=502)
        return site.told(request, site.text(request, ASKED), back="/preferences")

    return routes
