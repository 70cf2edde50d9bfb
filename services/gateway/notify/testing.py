"""A test message to every target, now and then at most."""

from collections.abc import Callable

from services.gateway.models import Shown
from services.gateway.notify.notifier import Notifier
from services.gateway.notify.sender import DeliveryFailed
from services.gateway.problems import ApiError, Problem

TEST_EVERY_S = 10.0
"""Real seconds between two tests: each goes to everybody."""
TEST = ("Test", "This is a test of the station's notifications. Nothing has happened.")


class Delivery(Shown):
    """How a test went at one target."""

    target: str
    delivered: bool
    detail: str
    """Why not; empty where it was delivered."""


class Tester:
    """Sends tests through the running gateway's own sender."""

    def __init__(self, notifier: Notifier, now_s: Callable[[], float]) -> None:
        """`now_s` gives real seconds."""
        self._notifier = notifier
        self._now_s = now_s
        self._tested_s = float("-inf")

    async def test(self) -> tuple[Delivery, ...]:
        """How it went at each target. Raises ApiError: 409 where there is none, 429 shortly after another test."""
        targets = self._notifier.settings.to
        if not targets:
            remedy = "put an apprise URL into a file in the folder of secrets and name it under 'notifications: to:' in the station file"
            raise ApiError(409, Problem(message="nobody is to be notified", field="notifications.to", remedy=remedy))
        if self._now_s() - self._tested_s < TEST_EVERY_S:
            raise ApiError(429, Problem(message="there was a test just now", remedy=f"wait {TEST_EVERY_S:.0f} s between two"))
        self._tested_s = self._now_s()
        return tuple([await self._tried(target) for target in targets])

    async def _tried(self, target: str) -> Delivery:
        try:
            await self._notifier.sender.send(target, *TEST)
        except DeliveryFailed as failed:
            return Delivery(target=target, delivered=False, detail=str(failed))
        return Delivery(target=target, delivered=True, detail="")
