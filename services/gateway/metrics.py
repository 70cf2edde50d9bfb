"""What the gateway counts for Prometheus, and the route that tells it."""

from fastapi import APIRouter
from prometheus_client import Counter
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.bus.metrics import CONTENT_TYPE, REGISTRY, exposition
from services.gateway.access.rules import require

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUESTS = Counter(
    "sps_gateway_http_requests_total", "Requests answered, by the route's template.", ["method", "route", "status"], registry=REGISTRY
)
_EXAMPLE = """\
# HELP sps_bus_connected Whether the broker is connected: 1 or 0.
# TYPE sps_bus_connected gauge
sps_bus_connected{service="gateway"} 1.0
"""


class Counted:
    """ASGI middleware that counts what goes out, before everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in _METHODS else "other"
                _REQUESTS.labels(method, _template(scope), str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)


def _template(scope: Scope) -> str:
    """The route that answered; what none answered is one kind, however it was written."""
    if (path := getattr(scope.get("route"), "path", None)) is not None:
        return str(path)
    return "/static" if scope["path"].startswith("/static/") else "none"


def router() -> APIRouter:
    """The route of the meters."""
    routes = APIRouter(tags=["metrics"])

    @routes.get(
        "/metrics",
        dependencies=[require("read")],
        summary="The meters of this process, for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}}}},
    )
    async def metrics() -> Response:
        return Response(exposition(), headers={"content-type": CONTENT_TYPE})

    return routes
