"""Notifications over the API: to whom, about what, and a test."""

from fastapi import APIRouter

from services.core.config.notifications import Kind
from services.gateway.access.rules import require
from services.gateway.models import Shown
from services.gateway.notify.notifier import Notifier
from services.gateway.notify.testing import Delivery, Tester
from services.gateway.problems import documented


class TargetView(Shown):
    """One target: the name of the secret that holds its URL."""

    target: str
    waiting: int
    """Messages that wait for it."""


class NotificationsView(Shown):
    """To whom the station writes, and about what, as its file says."""

    targets: tuple[TargetView, ...]
    kinds: dict[Kind, bool]


class TestView(Shown):
    """How a test went."""

    results: tuple[Delivery, ...]


def router(notifier: Notifier, tester: Tester) -> APIRouter:
    """The routes of notifications."""
    routes = APIRouter(prefix="/api/notifications", tags=["notifications"])

    @routes.get("", dependencies=[require("read")], summary="To whom the station writes, and about what")
    async def notifications() -> NotificationsView:
        settings = notifier.settings
        return NotificationsView(
            targets=tuple(TargetView(target=name, waiting=notifier.waiting(name)) for name in settings.to),
            kinds={kind: settings.wants(kind) for kind in Kind},
        )

    @routes.post(
        "/test",
        dependencies=[require("preferences")],
        summary="Send a test to every target, and tell how it went",
        responses=documented(409, 429),
    )
    async def test() -> TestView:
        return TestView(results=await tester.test())

    return routes
