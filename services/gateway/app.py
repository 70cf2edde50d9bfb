"""The web application: the routes, the page's files, and the guard in front of them."""

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI

from services.gateway import problems
from services.gateway.desk import Desk
from services.gateway.pages import all as pages
from services.gateway.routes import events, history, sharing, state
from services.gateway.security import Guard
from services.gateway.static_files import StaticFiles
from services.gateway.stream import Stream

STATIC = Path(__file__).parent / "static"


def create_app(desk: Desk, stream: Stream, hosts: Iterable[str]) -> FastAPI:
    """The application, answering under `hosts` only."""
    app = FastAPI(
        title="Smart Power Station",
        version=version("smart-power-station"),
        description="One station: its state, its demand-response events and its history. Times are UTC; a null is unknown.",
        docs_url=None,
        redoc_url=None,
        responses=problems.documented(400, 403, 413, 415, 422),
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    problems.install(app)
    app.include_router(state.router(desk, stream))
    app.include_router(events.router(desk))
    app.include_router(history.router(desk))
    app.include_router(sharing.router(desk))

    pages.install(app, desk)
    app.mount("/static", StaticFiles(STATIC))
    app.add_middleware(Guard, hosts=hosts)
    return app
