"""The page put together: routes, door and guard."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from services.aggregator.desk import Desk
from services.aggregator.page import calling, door, viewing
from services.aggregator.page.access import COOKIE, Access
from services.aggregator.page.guard import Guard
from services.aggregator.page.pane import HERE, Pane


def create_page(desk: Desk, access: Access, hosts: frozenset[str], nudge: Callable[[], None], problem: Callable[[], str | None]) -> FastAPI:
    """The fleet for people. `nudge` is called when an event was called; `problem` says what is wrong with the broker."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    pane = Pane(desk, access, nudge, problem)

    @app.middleware("http")
    async def at_the_door(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path
        free = path.startswith("/static/") or path in ("/login", "/healthz")
        if free or access.open_to(request.cookies.get(COOKIE), pane.clock.monotonic()):
            return await proceed(request)
        return RedirectResponse("/login", 303) if request.method == "GET" else Response("log in first", 401)

    for part in (viewing, calling, door):
        app.include_router(part.routes(pane))

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok", "broker": problem() or "connected"}

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> HTMLResponse:
        return pane.render(request, "refused.html", error.status_code, detail=str(error.detail))

    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.add_middleware(Guard, hosts=hosts)
    return app
