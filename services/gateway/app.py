"""The web application: the routes, the page's files, and the guard in front of them."""

from importlib.metadata import version
from pathlib import Path

from fastapi import Depends, FastAPI

from services.gateway import metrics, openapi, problems
from services.gateway.access.control import Control
from services.gateway.access.gate import Gate
from services.gateway.access.rules import strict_by_default
from services.gateway.desk import Desk
from services.gateway.notify import routes as notifications
from services.gateway.notify.notifier import Notifier
from services.gateway.notify.testing import Tester
from services.gateway.pages import all as pages
from services.gateway.routes import events, history, sharing, state
from services.gateway.security import Guard, Names
from services.gateway.static_files import StaticFiles
from services.gateway.stream import Stream

STATIC = Path(__file__).parent / "static"


def create_app(desk: Desk, stream: Stream, names: Names, control: Control, notifier: Notifier) -> FastAPI:
    """The application, answering under `names` only, and only to those whom `control` knows."""
    app = FastAPI(
        title="Smart Power Station",
        version=version("smart-power-station"),
        description=openapi.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        responses=problems.documented(400, 401, 403, 413, 415, 422),
        dependencies=[Depends(strict_by_default)],
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    problems.install(app)
    tester = Tester(notifier, desk.clock.monotonic)
    app.include_router(state.router(desk, stream))
    app.include_router(events.router(desk))
    app.include_router(history.router(desk))
    app.include_router(sharing.router(desk))
    app.include_router(notifications.router(notifier, tester))
    app.include_router(metrics.router())

    pages.install(app, desk, control, notifier, tester)
    app.mount("/static", StaticFiles(STATIC))
    openapi.describe(app)
    app.add_middleware(Gate, control=control)
    app.add_middleware(Guard, names=names)
    app.add_middleware(metrics.Counted)
    return app
