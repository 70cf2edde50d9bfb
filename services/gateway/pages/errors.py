"""Errors as a page for those who look at pages; programs get them as the API's Problem."""

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.gateway.languages.reason_patterns import N_
from services.gateway.pages.events import refusal
from services.gateway.pages.site import Site
from services.gateway.problems import ApiError, Problem, answer

NOT_FOR_A_PAGE = (401, 403)
"""Who may not look at a page gets none, not even around an error."""
NO_PAGE = N_("There is no such page.")


def install(app: FastAPI, site: Site) -> None:
    """Have the errors of pages answered by a page."""

    @app.exception_handler(ApiError)
    async def _refused(request: Request, error: ApiError) -> Response:
        if not _looks_at_a_page(request) or error.status in NOT_FOR_A_PAGE:
            return answer(error.status, error.problem)
        return site.told(request, refusal(site, request, error), back=_back(request), good=False, status=error.status)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and _looks_at_a_page(request):
            return site.told(request, site.text(request, NO_PAGE), back="/", good=False, status=404)
        response = answer(error.status_code, Problem(message=str(error.detail)))
        response.headers.update(error.headers or {})
        return response


def _looks_at_a_page(request: Request) -> bool:
    return not request.url.path.startswith(("/api/", "/static/")) and "text/html" in request.headers.get("accept", "")


def _back(request: Request) -> str:
    first = request.url.path.split("/")[1]
    return f"/{first}" if first in ("events", "history", "preferences", "devices", "log") and request.url.path.count("/") > 1 else "/"
