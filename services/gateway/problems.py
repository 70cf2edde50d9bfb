"""What a request was refused for: one form for every error of the API."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from services.core.events import BadValue
from services.core.problems import shortened


class Problem(BaseModel):
    """Why a request was not carried out, and what would be right."""

    model_config = ConfigDict(frozen=True)

    message: str
    field: str | None = None
    value: str | None = None
    remedy: str = ""

    @classmethod
    def of(cls, bad: BadValue) -> "Problem":
        """The problem with one value."""
        return cls(message=str(bad), field=bad.field, value=shortened(bad.value), remedy=bad.remedy)


class ApiError(Exception):
    """Answered with `status` and the problem as JSON."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.message)
        self.status = status
        self.problem = problem


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: it may answer with a Problem and one of these."""
    return {status: {"model": Problem, "description": _MEANING[status]} for status in statuses}


_MEANING = {
    400: "The Host header is not one of this server's names.",
    401: "Nobody who is known: log in, or send an API token. Only where access control is on.",
    403: "The request comes from another site, lacks its token against forgery, or its API token lacks the scope.",
    404: "There is no such thing.",
    409: "Not in a state for this.",
    413: "The body is too large.",
    415: "A write must have Content-Type application/json.",
    422: "Refused: the field, its value, and what would be right.",
    502: "The recorder answered with something that cannot be used.",
    429: "Too often; Retry-After says when again.",
    503: "The station, or the recorder, cannot be reached.",
}


def answer(status: int, problem: Problem) -> JSONResponse:
    """`problem` as a response."""
    return JSONResponse(problem.model_dump(), status)


def install(app: FastAPI) -> None:
    """Have every error of `app` answered as a Problem."""

    @app.exception_handler(ApiError)
    async def _refused(_request: Request, error: ApiError) -> JSONResponse:
        return answer(error.status, error.problem)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(422, _first(error))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        response = answer(error.status_code, Problem(message=str(error.detail)))
        response.headers.update(error.headers or {})
        return response


def _first(error: RequestValidationError) -> Problem:
    item = error.errors()[0]
    # The first part of the location only says where in the request it stood.
    field = ".".join(str(part) for part in item["loc"][1:]) or None
    if item["type"] == "json_invalid":
        return Problem(message="the body is not JSON", field=None, remedy='send such as {"start":"now","duration":"PT1H"}')
    value = None if item["type"] == "missing" or isinstance(item["input"], dict) else shortened(item["input"])
    remedy = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        remedy = "this field is required"
    if item["type"] == "extra_forbidden":
        remedy = "this field is not known here; is it a typing error?"
    return Problem(message=f"{field or 'the request'}: {remedy}", field=field, value=value, remedy=remedy)
