"""*Notifications*: to whom the station writes and about what, and a test."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.core.config.notifications import Kind
from services.gateway.access.rules import require
from services.gateway.languages.reason_patterns import N_
from services.gateway.notify.notifier import Notifier
from services.gateway.notify.testing import Tester
from services.gateway.pages.site import Site
from services.gateway.problems import ApiError

KINDS = {
    Kind.EVENT_ANNOUNCED: N_("An event is announced or changed"),
    Kind.EVENT_STARTING: N_("An event starts"),
    Kind.EVENT_CANNOT_BE_MET: N_("An event is refused, or cannot be met"),
    Kind.EVENT_FINISHED: N_("An event is over, with its result"),
    Kind.DEVICE_LOST: N_("A device or a service is lost"),
    Kind.BATTERY_LOW: N_("The battery is below its reserve"),
}


def router(notifier: Notifier, tester: Tester, site: Site) -> APIRouter:
    """The page of notifications."""
    routes = APIRouter(include_in_schema=False)

    def page(request: Request, *, results: object = (), error: str = "", status: int = 200) -> Response:
        settings = notifier.settings
        values = {
            "targets": [(name, notifier.waiting(name)) for name in settings.to],
            "kinds": [(text, settings.wants(kind)) for kind, text in KINDS.items()],
            "results": results,
            "error": error,
        }
        return site.render(request, "notifications.html", values, status=status)

    @routes.get("/notifications", dependencies=[require("read")])
    async def shown(request: Request) -> Response:
        return page(request)

    @routes.post("/notifications/test", dependencies=[require("preferences")])
    async def test(request: Request) -> Response:
        try:
            return page(request, results=await tester.test())
        except ApiError as refused:
            return page(request, error=f"{refused.problem.message}; {refused.problem.remedy}", status=refused.status)

    return routes
