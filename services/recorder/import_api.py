"""The one question to the recorder that writes: readings from elsewhere, in batches. It always wants the token."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import ValidationError

from services.bus.clock import Clock
from services.core.problems import field_problems
from services.recorder.columns import Row
from services.recorder.guarded import want_token
from services.recorder.importing import Filled, Readings, checked

MOST_BYTES = 2_000_000
ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is not what is asked for."},
    401: {"description": "The token is missing, or wrong."},
    411: {"description": "The length of the body must be said."},
    413: {"description": f"More than {MOST_BYTES} bytes, or too many rows."},
    503: {"description": "The journal cannot be written now, or there is no token because the state folder cannot be written."},
}
BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": Readings.model_json_schema()}}}}


def add_import(app: FastAPI, fill: Callable[[Mapping[int, Row]], Awaitable[Filled]], clock: Clock, token: str | None) -> None:
    """Let `app` take readings. `fill` stores what the journal lacks; it raises JournalError."""

    # Without the token any web page open in a browser on this machine could write into the journal.
    @app.post("/api/readings", responses=ANSWERS, openapi_extra=BODY)
    async def readings(request: Request) -> dict[str, Any]:
        """Take readings from elsewhere: what the journal lacks of them. Sent again, they change nothing.

        The answer counts times `added`, `completed` and `known` already, values `differing` from the journal's own (which stay),
        and names what was `refused`, by row.
        """
        want_token(request, token)
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            raise HTTPException(411, "say the length of the body")
        if int(length) > MOST_BYTES:
            raise HTTPException(413, f"at most {MOST_BYTES} bytes at a time")
        try:
            offered = Readings.model_validate_json(await request.body())
        except ValidationError as error:
            found = field_problems(error, ("columns", "rows"))[0]
            raise HTTPException(400, ": ".join(part for part in (found.field, found.remedy) if part)) from None
        rows, refused = checked(offered, clock.now(), clock.speed)
        return {**asdict(await fill(rows)), "refused": [asdict(one) for one in refused]}
