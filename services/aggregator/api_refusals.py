"""How the stations' API refuses: one form for all of it, and when to come back."""

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from services.aggregator.gate import Refused
from services.aggregator.store.writer import Busy
from services.bus.uplink.batches import Refusal

BUSY_WAIT_S = 5

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
        return JSONResponse(Refusal(message=error.message, field=error.field).model_dump(), error.status, headers)

    async def busy(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse(Refusal(message=f"{error}; nothing was kept").model_dump(), 503, {"retry-after": str(BUSY_WAIT_S)})

    async def wrong(_: Request, error: Exception) -> JSONResponse:
        found: list[dict[str, Any]] = list(getattr(error, "errors", list)())
        where = str(found[0]["loc"][-1]) if found else ""
        what = re.sub(r"\s+", " ", str(found[0]["msg"])) if found else "the request is wrong"
        return JSONResponse(Refusal(message=f"{where}: {what}", field=where or None).model_dump(), 422)

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this kind only
        return JSONResponse(Refusal(message=str(error.detail)).model_dump(), error.status_code, error.headers)

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(Busy, busy)
    app.add_exception_handler(SQLAlchemyError, lambda request, _: busy(request, Busy("the database does not answer")))
    app.add_exception_handler(RequestValidationError, wrong)
    app.add_exception_handler(HTTPException, http)
