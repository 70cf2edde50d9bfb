"""One message to one apprise URL. apprise takes much memory, so it is imported with the first message and not before."""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from services.bus.secrets import NoSecret, read_secret
from services.core.config.notifications import Kind

SEND_S = 30.0
"""Real seconds after which a delivery counts as one that hangs."""
WARNINGS = frozenset({Kind.EVENT_CANNOT_BE_MET, Kind.DEVICE_LOST, Kind.BATTERY_LOW})


class DeliveryFailed(Exception):
    """A message that was not taken. Says which target and why, and never what is in its URL."""


class Undecided(DeliveryFailed):
    """Nobody knows yet whether the message is taken: it is under way still, and must not be sent a second time."""

    def __init__(self, message: str, outcome: "asyncio.Future[str | None]") -> None:
        """`outcome` comes one day, or never: why it was not delivered; None if it was."""
        super().__init__(message)
        self.outcome = outcome


class Sender:
    """Reads each target's URL from its file at each message, so that a mended one is used at once."""

    def __init__(self, var: Path) -> None:
        self._var = var
        self._busy: set[str] = set()

    async def send(self, target: str, title: str, body: str, kind: Kind | None = None) -> None:
        """Deliver to `target`, the name of a secret. Raises DeliveryFailed, or Undecided while it hangs."""
        try:
            url = read_secret(target, self._var)
        except NoSecret as missing:
            raise DeliveryFailed(str(missing).replace("the password", "the apprise URL")) from None
        if target in self._busy:
            raise DeliveryFailed(f"{target}: the last delivery still hangs")
        self._busy.add(target)
        outcome = _in_thread(lambda: self._done(target, url, title, body, kind))
        try:
            async with asyncio.timeout(SEND_S):
                failure = await asyncio.shield(outcome)
        except TimeoutError:
            raise Undecided(f"{target} ({_service(url)}) did not take the message within {SEND_S:.0f} s", outcome) from None
        if failure is not None:
            raise DeliveryFailed(failure)

    def _done(self, target: str, url: str, title: str, body: str, kind: Kind | None) -> str | None:
        try:
            return _notify(target, url, title, body, warning=kind in WARNINGS)
        finally:
            self._busy.discard(target)


def _notify(target: str, url: str, title: str, body: str, *, warning: bool) -> str | None:
    """Why the message was not delivered; None if it was."""
    import apprise  # noqa: PLC0415 - large, and needed by those only who configured it

    # Its log lines carry hosts, topics and sometimes more of the URL than should be read there.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    asset = apprise.AppriseAsset(app_id="Smart Power Station", app_desc="Smart Power Station", secure_logging=True, async_mode=False)
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        return f"{target} holds no URL that apprise knows; see github.com/caronc/apprise/wiki for how they are written"
    kind = apprise.NotifyType.WARNING if warning else apprise.NotifyType.INFO
    if service.notify(title=title, body=body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT):
        return None
    return f"{target} ({_service(url)}) did not take the message"


def _service(url: str) -> str:
    """The URL's scheme, which is no secret."""
    return url.partition("://")[0][:20]


def _in_thread(work: Callable[[], str | None]) -> asyncio.Future[str | None]:
    """`work` in a thread of its own, which nobody waits for at the end: a server that never answers must not hold up the gateway's stop."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[str | None] = loop.create_future()

    def settle(failure: str | None) -> None:
        if not result.done():
            result.set_result(failure)

    def run() -> None:
        try:
            failure = work()
        except Exception as error:  # noqa: BLE001 - whatever a plug-in of apprise raises is one more way not to deliver
            failure = f"apprise failed: {type(error).__name__}"
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, failure)

    threading.Thread(target=run, name="notification", daemon=True).start()
    return result
