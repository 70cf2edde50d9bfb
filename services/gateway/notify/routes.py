"""Notifications over the API: to whom, about what, and a test."""

from collections.abc import Callable

from fastapi import APIRouter

from services.core.config.notifications import Kind
from services.gateway.access.rules import require
from services.gateway.models import Shown
from services.gateway.notify.notifier import Notifier
from services.gateway.notify.sender import DeliveryFailed
from services.gateway.problems import ApiError, Problem, documented

TEST_EVERY_S = 10.0
"""Real seconds between two tests: each goes to everybody."""
TEST = ("Test", "This is a test of the station's notifications. Nothing has happened.")


class TargetView(Shown):
    """One target: the name of the secret that holds its URL."""

    target: str
    waiting: int
    """Messages that wait for it."""


class NotificationsView(Shown):
    """To whom the station writes, and about what, as its file says."""

    targets: tuple[TargetView, ...]
    kinds: dict[Kind, bool]


class Delivery(Shown):
    """How a test went at one target."""

    target: str
    delivered: bool
    detail: str
    """Why not; empty where it was delivered."""


class TestView(Shown):
    """How a test went."""

    results: tuple[Delivery, ...]


def router(notifier: Notifier, now_s: Callable[[], float]) -> APIRouter:
    """The routes of notifications; `now_s` gives real seconds."""
    routes = APIRouter(prefix="/api/notifications", tags=["notifications"])
    tested_s = float("-inf")

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
        nonlocal tested_s
        if not notifier.settings.to:
            remedy = "put an apprise URL into a file in the folder of secrets and name it under 'notifications: to:' in the station file"
            raise ApiError(409, Problem(message="nobody is to be notified", field="notifications.to", remedy=remedy))
        if now_s() - tested_s < TEST_EVERY_S:
            raise ApiError(429, Problem(message="there was a test just now", remedy=f"wait {TEST_EVERY_S:.0f} s between two"))
        tested_s = now_s()
        return TestView(results=tuple([await _tried(notifier, target) for target in notifier.settings.to]))

    return routes


async def _tried(notifier: Notifier, target: str) -> Delivery:
    try:
        await notifier.sender.send(target, *TEST)
    except DeliveryFailed as failed:
        return Delivery(target=target, delivered=False, detail=str(failed))
    return Delivery(target=target, delivered=True, detail="")
