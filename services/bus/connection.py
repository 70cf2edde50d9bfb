"""A connection to the broker that comes back, and an outbox for the time in between."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping

from services.bus.clock import Clock
from services.bus.link import ConnectFailed, Link, TurnedAway
from services.bus.link_options import Delivery, LinkOptions
from services.bus.outbox import Outbox, Outgoing
from services.bus.secrets import NoSecret
from services.bus.tls import NoTrust

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 30.0
STEADY_S = 10.0
"""A connection that lasted this long was a good one: the back-off starts anew."""
REMIND_S = 600.0
"""A reason that stays the same is told again so often: nobody reads a log from its beginning."""

log = logging.getLogger(__name__)


def backoff_s(failures: int, jitter: random.Random) -> float:
    """Real seconds to wait after so many failures in a row: doubling, capped, and never the same for two clients."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures, 10)) * jitter.uniform(0.5, 1.0)


class Connection:
    """Keeps one link up as long as `run` runs. All of it belongs to the event loop."""

    def __init__(
        self,
        address: tuple[str, int],
        client_id: str,
        *,
        clock: Clock,
        jitter: random.Random,
        will: Callable[[], Outgoing | None],
        on_connected: Callable[[], None],
        on_message: Callable[[str, bytes, bool], None],
        options: Callable[[], LinkOptions] = LinkOptions,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        """`options` is asked at each attempt, in a thread, so that a mended file needs no restart.

        It may read files, and raise ConnectFailed, NoSecret or NoTrust.
        """
        self.up = asyncio.Event()
        self.trouble: str | None = None
        """Why there is no connection, in words; None while there is one, and before the first try has failed."""
        self.turned_away = False
        """Whether `trouble` is about who we are, or whom we trust, and not about a broker that is away."""
        self._told_at: float | None = None
        self._address = address
        self._client_id = client_id
        self._clock = clock
        self._jitter = jitter
        self._will = will
        self._on_connected = on_connected
        self._on_message = on_message
        self._options = options
        self._on_delivery = on_delivery
        self._link: Link | None = None
        self._has_will = False
        self._outbox = Outbox()
        self._empty = asyncio.Event()

    async def run(self) -> None:
        """Connect, and connect again after each loss, until cancelled."""
        failures = 0
        while True:
            link: Link | None = None
            opened_at = None
            try:
                link = await self._link_to_be()
                await link.open(*self._address)
                if self.will_outdated:
                    # It changed while we connected. To leave in good form keeps the broker from publishing what may not be said any more.
                    continue
                opened_at = self._clock.monotonic()
                self._opened(link)
                # What is sent to us before the broker has our subscriptions does not come: until then nobody may count on us.
                await link.subscribed()
                self._settled(link)
                await link.hold()
            except (ConnectFailed, NoSecret, NoTrust) as failure:
                self.turned_away = not isinstance(failure, ConnectFailed) or isinstance(failure, TurnedAway)
                self._tell(str(failure))
            except Exception:
                # The outermost edge: a defect costs this connection, not the service.
                log.exception("%s: unexpected failure; connecting again", self._name)
            finally:
                if link is not None:
                    self._ended(link)
            steady = opened_at is not None and self._clock.monotonic() - opened_at >= STEADY_S
            failures = 0 if steady else failures + 1
            if opened_at is not None:
                self.trouble = "the connection was lost"
                log.warning("%s: connection lost; connecting again", self._name)
            await self._clock.sleep(backoff_s(failures, self._jitter))

    def send(self, outgoing: Outgoing) -> None:
        """Send now, or as soon as there is a connection; QoS 0 without a connection is dropped."""
        if outgoing.qos == 0:
            if self._link is not None:
                self._link.publish(outgoing)
            return
        if (dropped := self._outbox.add(outgoing)) is not None:
            log.warning("%s: too much is waiting for a connection; dropped the oldest message, on %s", self._name, dropped.topic)
        self._pump()

    def subscribe(self, filters: Mapping[str, int]) -> None:
        """Subscribe on the connection there is; subscribing again after a reconnect is for `on_connected`."""
        if self._link is not None:
            self._link.subscribe(filters.items())

    @property
    def linked(self) -> bool:
        """Whether the broker has let us in: what is sent now leaves now, though we may not hear everything yet."""
        return self._link is not None

    def reconnect(self) -> None:
        """Say goodbye, which keeps the last will back, and connect anew with what then holds."""
        if self._link is not None:
            self._link.close()

    def discard(self) -> None:
        """Forget all that is waiting to be sent, or to be acknowledged, but for what takes a retained message back."""
        self._outbox.keep_clearings()
        self._pump()

    async def drained(self, timeout_s: float) -> bool:
        """Wait until all that was sent is acknowledged; False if it was not within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self._outbox):
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            return False
        return True

    @property
    def _name(self) -> str:
        return f"broker {self._address[0]}:{self._address[1]}"

    @property
    def will_outdated(self) -> bool:
        """Whether the broker was given a last will and none may be said now, or the other way round. Only another connection changes it."""
        return self._has_will != (self._will() is not None)

    async def _link_to_be(self) -> Link:
        options = await asyncio.to_thread(self._options)
        # Not sooner: while files are read, the person may decide that nothing is to be said.
        will = self._will()
        self._has_will = will is not None
        return Link(
            self._client_id,
            will=will,
            on_message=self._on_message,
            on_read=self._pump,
            options=options,
            on_delivery=self._on_delivery,
        )

    def _tell(self, failure: str) -> None:
        now = self._clock.monotonic()
        news = failure != self.trouble or self._told_at is None or now - self._told_at >= REMIND_S
        log.log(logging.WARNING if news else logging.DEBUG, "%s: %s; trying again until it lets us in", self._name, failure)
        self._told_at = now if news else self._told_at
        self.trouble = failure

    def _opened(self, link: Link) -> None:
        self._link = link
        self.trouble, self.turned_away = None, False
        for expired in self._outbox.drop_expired(self._clock.monotonic()):
            log.warning("%s: a command for %s waited too long for a connection and was dropped", self._name, expired.topic)
        self._on_connected()
        self._pump()

    def _settled(self, link: Link) -> None:
        if not link.lost.is_set():
            self.up.set()
            log.info("%s: connected", self._name)

    def _ended(self, link: Link) -> None:
        self.up.clear()
        self._link = None
        self._outbox.connection_lost()
        link.close()

    def _pump(self) -> None:
        self._outbox.settle()
        while self._link is not None and (outgoing := self._outbox.take()) is not None:
            self._outbox.sent(outgoing, self._link.publish(outgoing))
        if not len(self._outbox):
            self._empty.set()
