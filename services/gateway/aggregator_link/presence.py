"""Whether the station is connected: said, and taken back, as far as the person shares it."""

import contextlib
import json
import logging
from asyncio import timeout
from collections.abc import Callable

from services.bus.clock import Clock
from services.bus.connection import Connection
from services.bus.outbox import Outgoing
from services.core.sharing import shared
from services.core.sharing_fields import RecordKind
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.inbox_store import InboxStore
from services.gateway.aggregator_link.packing import Packed
from services.gateway.aggregator_link.sent_log import SentLog

log = logging.getLogger(__name__)

FAREWELL_S = 2.0


class Presence:
    """Belongs to the event loop."""

    def __init__(
        self, topic: str, receiver: str, *, store: InboxStore, consent: ConsentBook, sent: SentLog, clock: Clock, keep: Callable[[], None]
    ) -> None:
        """`keep` has the store written."""
        self._topic, self._receiver = topic, receiver
        self._store, self._consent, self._sent, self._clock = store, consent, sent, clock
        self._keep = keep

    def message(self, *, online: bool) -> Outgoing | None:
        """What may be said of it now; None for nothing."""
        if not self._clock.known:
            return None
        found = shared(RecordKind.ONLINE, {"online": online, "ts": self._clock.now()}, self._consent.grants)
        return None if found is None else Outgoing(self._topic, json.dumps(found).encode(), 1, True)

    @property
    def outdated(self) -> bool:
        """Whether the aggregator's broker keeps a word of ours that may not be said any more, or none though one may."""
        return (self.message(online=True) is not None) != self._store.presence

    def say(self, connection: Connection, *, online: bool) -> None:
        """Say it, or take back what was said while it was shared."""
        outgoing = self.message(online=online)
        if outgoing is not None:
            if not self._noted(outgoing):
                return
            connection.send(outgoing)
        elif self._store.presence:
            connection.send(Outgoing(self._topic, b"", 1, True))
        if self._store.presence != (outgoing is not None):
            self._store.presence = outgoing is not None
            self._keep()

    async def say_goodbye(self, connection: Connection) -> None:
        """Where presence is shared it is said by ourselves: the last will is for those who can't."""
        if not self._store.presence:
            return
        with contextlib.suppress(TimeoutError):
            async with timeout(FAREWELL_S):
                await connection.up.wait()
                self.say(connection, online=False)
                await connection.drained(FAREWELL_S)

    def _noted(self, outgoing: Outgoing) -> bool:
        """What cannot be noted does not leave."""
        to, body = f"{self._receiver} {outgoing.topic}", Packed.of(outgoing.payload)
        try:
            number = self._sent.begin(self._clock.now(), to=to, route="mqtt", kind="presence", records=1, body=body)
            self._sent.end(number, "sent")
        except OSError as error:
            log.warning("the aggregator is not told that the station is connected: %s", error)
            return False
        return True
