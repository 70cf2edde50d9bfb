"""How the stations' API refuses: one form for all of it, and when to come back."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from services.aggregator import metrics
from services.aggregator.admission import BUSY_WAIT_S
from services.aggregator.gate import Refused
from services.aggregator.store.database import of_the_database
from services.aggregator.store.writer import Busy
from services.bus.uplink.batches import Refusal

log = logging.getLogger(__name__)

MEANINGS = {
    400: "The body is not JSON, or not the gzip it says it is.",
    401: "The station did not show that it is the one in the path.",
    404: "There is no such thing.",
    409: "The idempotency key stood for another batch.",
    413: "More than is taken at once.",
    415: "Not JSON.",
    422: "A field is wrong; sending the same again is of no use.",
    429: "Too often; wait for Retry-After.",
    503: "It could not be kept; wait for Retry-After.",
}


def install(app: FastAPI) -> None:
    """Have `app` answer every refusal as a Refusal."""

    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refused)  # noqa: S101 - registered for this kind only
        headers = {"retry-after": str(error.wait_s)} if error.wait_s else {}
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        return _answer(error.status, error.message, error.field, headers)

    async def busy(_: Request, error: Exception) -> JSONResponse:
        return _answer(503, f"{error}; nothing was kept", headers={"retry-after": str(BUSY_WAIT_S)})

    async def database(request: Request, error: Exception) -> JSONResponse:
        if of_the_database(error):
            return await busy(request, Busy("the database does not answer"))
        # The same again would fail again: whoever sent it must not try for ever.
        log.error("the database takes this for no value of its own: %s", getattr(error, "orig", error))
        return _answer(422, "the database cannot hold one of its values")

    async def wrong(_: Request, error: Exception) -> JSONResponse:
        found: list[dict[str, Any]] = list(getattr(error, "errors", list)())
        where = str(found[0]["loc"][-1]) if found else ""
        what = re.sub(r"\s+", " ", str(found[0]["msg"])) if found else "the request is wrong"
        return _answer(422, f"{where}: {what}", where or None)

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this kind only
        return _answer(error.status_code, str(error.detail), headers=error.headers)

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(Busy, busy)
    app.add_exception_handler(SQLAlchemyError, database)
    app.add_exception_handler(RequestValidationError, wrong)
    app.add_exception_handler(HTTPException, http)


def _answer(status: int, message: str, field: str | None = None, headers: Mapping[str, str] | None = None) -> JSONResponse:
    metrics.refused(status)
    return JSONResponse(Refusal(message=message, field=field).model_dump(), status, headers)
