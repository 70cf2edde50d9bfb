"""The query API: what happened, over HTTP. JSON; times are UTC, RFC 3339. Read by the page, the CLI and the reports."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime
from pydantic_core import to_json
from starlette.middleware.trustedhost import TrustedHostMiddleware

from services.bus.clock import Clock
from services.core.events import ID_PATTERN
from services.recorder import answers
from services.recorder.accounts import Account
from services.recorder.history import SERIES, History
from services.recorder.journal import SETTLED_MS, JournalError

UTC_ZONE = ZoneInfo("UTC")
OPEN = ("/healthz",)
"""What can be asked without a token."""
HOSTS = ["127.0.0.1", "localhost"]

When = Annotated[AwareDatetime | None, Query(description="RFC 3339 with an offset. Default: the last 24 hours.")]
Names = Annotated[str, Query(max_length=500, description=f"Comma-separated, of: {', '.join(SERIES)}.")]
Step = Annotated[int, Query(ge=1, le=86_400, description="Seconds; each value is the mean over one step.")]
Topic = Annotated[str, Query(min_length=1, max_length=200, description="Without the station's root: `controller/state`.")]
NO_JOURNAL: dict[int | str, dict[str, Any]] = {503: {"description": "The journal cannot be read."}}
REFUSED: dict[int | str, dict[str, Any]] = {400: {"description": "The question cannot be answered as it was put."}, **NO_JOURNAL}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "No such event is recorded."}, **NO_JOURNAL}
By = Annotated[Literal["hour", "day", "month"], Query(description="UTC hours, or days or months of the station's time zone.")]
After = Annotated[str | None, Query(max_length=60, description="The `cursor` of the last answer. Default: from the first row.")]
From = Annotated[AwareDatetime | None, Query(description="RFC 3339 with an offset: where to begin when there is no `after`.")]
Limit = Annotated[int, Query(ge=1, le=5_000)]
EventId = Annotated[str, Path(pattern=f"^{ID_PATTERN.pattern}$")]


def create_app(
    history: History,
    clock: Clock,
    *,
    max_gap_s: Callable[[], float],
    account: Callable[[str], Account | None],
    committed_until: Callable[[], datetime | None],
    settled_ms: Callable[[], int] = lambda: SETTLED_MS,
    zone: ZoneInfo = UTC_ZONE,
    token: str | None = None,
    known_as: str | None = None,
) -> FastAPI:
    """The application. `account` knows what has been reckoned of an event and is not in the journal yet.

    With a `token` every question but `/healthz` must carry it, as `Authorization: Bearer …`. `known_as` is a host name beside this
    machine's own under which it may be asked.
    """
    app = FastAPI(title="Smart Power Station: recorder", docs_url=None, redoc_url=None)
    if token is not None:
        _guard(app, token)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*HOSTS, known_as] if known_as else HOSTS)

    @app.exception_handler(JournalError)
    async def unreadable(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=503)

    @app.exception_handler(answers.BadQuestion)
    async def bad_question(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=400)

    @app.get("/healthz")
    def healthz() -> dict[str, Any]:
        """Whether this answers, and up to when readings are on disk."""
        until = committed_until()
        return {"status": "ok", "committed_until": answers.text(until) if until else None}

    @app.get("/api/series", responses=REFUSED)
    def series(
        names: Names = "p1_w,p2_w,p3_w,p4_w,soc_pct", start: When = None, end: When = None, step_s: Step = 60, covered: bool = False
    ) -> Response:
        """Means over equal steps; null is a gap. `times` are where the steps begin: whole multiples of `step_s`.

        With `covered`, also the share of each step in which the quantity was known.
        """
        wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
        found = answers.series(history, wanted, *answers.window(start, end, clock.now()), step_s, max_gap_s(), covered=covered)
        return _json(found)

    @app.get("/api/hours", responses=REFUSED)
    def hours(start: When = None, end: When = None) -> Response:
        """Energy per hour (UTC). A null figure is unknown; `covered` is the share of the hour with readings at P1, P2 and P3."""
        return _json(answers.hours(history, *answers.window(start, end, clock.now()), max_gap_s()))

    @app.get("/api/energy", responses=REFUSED)
    def energy(start: When = None, end: When = None, by: By = "day") -> Response:
        """Energy of each position and of what it adds up to. Beside every figure stands the share of time that it covers.

        `avoided` is what the battery gave to the load less what the grid gave to it; a null figure is unknown.
        """
        return _json(answers.energy(history, *answers.window(start, end, clock.now()), by, zone, max_gap_s()))

    @app.get("/api/rows", responses=REFUSED)
    def rows(after: After = None, limit: Limit = 1_000, start: From = None) -> Response:
        """The journal's rows by a cursor, for whoever carries them elsewhere: each at least once, late ones too.

        Take the same `ts_ms` twice for one. Where `more` is false, ask again later with the same cursor.
        """
        return _json(answers.rows(history, after, limit, settled_ms(), start))

    @app.get("/api/states", responses=REFUSED)
    def states(topic: Topic, start: When = None, end: When = None) -> list[dict[str, Any]]:
        """What was said under a topic, oldest first; only what changed is kept."""
        return answers.states(history, topic, *answers.window(start, end, clock.now()))

    @app.get("/api/events", responses=NO_JOURNAL)
    def events() -> list[dict[str, Any]]:
        """Every event as last heard, archived ones too, by start."""
        return history.events()

    @app.get("/api/events/{event_id}/report", responses=UNKNOWN)
    def report(event_id: EventId) -> dict[str, Any]:
        """An event with its baseline, its performance and the decisions taken while it ran."""
        if (found := answers.report(history, event_id, account(event_id))) is None:
            raise HTTPException(404, f"no event {event_id!r} is recorded; /api/events lists those that are")
        return found

    return app


def _json(found: Any) -> Response:
    # As it is: FastAPI's own encoder looks at every one of ten thousand numbers, and the standard library's is four times as slow.
    return Response(to_json(found), media_type="application/json")


def _guard(app: FastAPI, token: str) -> None:
    wanted = f"Bearer {token}".encode()

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        given = request.headers.get("authorization", "").encode()
        if request.url.path in OPEN or secrets.compare_digest(given, wanted):
            return await call_next(request)
        why = "this needs the token in recorder/api.token under the state folder, as 'Authorization: Bearer <token>'"
        return JSONResponse({"detail": why}, status_code=401, headers={"WWW-Authenticate": "Bearer"})
