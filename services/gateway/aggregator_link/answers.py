"""What the aggregator is told about its events, as far as the person shares it: in JSON, and in the older form where that is spoken."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from services.bus.client import Received
from services.bus.clock import Clock
from services.bus.connection import Connection
from services.bus.messages.events import EventMessage
from services.bus.outbox import Outgoing
from services.bus.uplink import old_form
from services.bus.uplink.topics import NetworkTopics
from services.core.config.station import Station
from services.core.events import EventStatus
from services.core.sharing import AnswerReason, shared
from services.core.sharing_fields import RecordKind
from services.gateway.aggregator_link.buckets import Bucket
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.inbox_store import InboxStore
from services.gateway.aggregator_link.judging import Refusal, Way
from services.gateway.aggregator_link.packing import Packed
from services.gateway.aggregator_link.sent_log import SentLog

log = logging.getLogger(__name__)

DRAINED_WITHIN_S = 10.0
AGAIN_AFTER_S = 5.0
"""Real seconds until what could not be noted, and so did not leave, is tried again."""
REFUSALS = (10, 1.0)
"""So many refusals are answered, at once and a second: a flood must not be answered by another."""


@dataclass(frozen=True, slots=True)
class _Say:
    record: dict[str, Any]
    start: datetime | None
    forms: tuple[str, ...]
    answered: str | None
    """What was told about it last; None for the refusal of a message."""


class Answers:
    """Belongs to the event loop."""

    def __init__(
        self,
        station: Station,
        topics: NetworkTopics,
        name: str,
        forms: tuple[str, ...],
        *,
        store: InboxStore,
        consent: ConsentBook,
        sent: SentLog,
        clock: Clock,
        receiver: str,
        keep: Callable[[], None],
    ) -> None:
        self._station, self._topics, self._name, self._forms = station, topics, name, forms
        self._store, self._consent, self._sent, self._clock = store, consent, sent, clock
        self._receiver = receiver
        self._keep = keep
        self._events: dict[str, EventMessage] = {}
        self._again: set[str] = set()
        self._refusals: list[_Say] = []
        self._bucket = Bucket(*REFUSALS)
        self._news = asyncio.Event()

    def on_event(self, received: Received[EventMessage]) -> None:
        """An event of the station stands somewhere else now."""
        self._events[received.params["event_id"]] = received.message
        self._news.set()

    def repeated(self, event_id: str) -> None:
        """The aggregator sent an event again: perhaps it never heard our answer."""
        if self._bucket.take(self._clock.monotonic()):
            self._again.add(event_id)
            self._news.set()

    def refused(self, refusal: Refusal, way: Way) -> None:
        """A message was refused: its sender is told so, if it is clear about which event."""
        if refusal.event is None or not self._bucket.take(self._clock.monotonic()):
            return
        event_id, revision = refusal.event
        record = {
            "id": event_id,
            "revision": revision,
            "status": EventStatus.REFUSED.value,
            "reason": refusal.reason.value,
            "field": refusal.field,
        }
        known = self._store.last(event_id)
        self._refusals.append(_Say(record, known.signal.start if known else None, ("old",) if way == "old" else ("json",), None))
        del self._refusals[: -REFUSALS[0]]
        self._news.set()

    def forget(self) -> None:
        """The person shares less than before: what was to be told is looked at anew."""
        self._refusals.clear()
        self._news.set()

    async def tell(self, connection: Connection) -> None:
        """Answer over `connection`, until cancelled. What cannot be told now is told later, as it stands then."""
        while True:
            await self._news.wait()
            await connection.up.wait()
            self._news.clear()
            said = [*self._refusals, *self._due()]
            self._refusals.clear()
            unsaid = [one for one in said if not await self._say(connection, one)]
            if unsaid:
                self._refusals = ([one for one in unsaid if one.answered is None] + self._refusals)[-REFUSALS[0] :]
                self._news.set()
                await self._clock.sleep(AGAIN_AFTER_S)

    def _due(self) -> list[_Say]:
        found = []
        for event_id, event in self._events.items():
            # What the aggregator never sent is nobody's business.
            if (known := self._store.last(event_id)) is not None:
                record = {"id": event_id, "revision": event.revision, "status": event.status.value, "reason": reason_of(event).value}
                found.append(_Say(record, event.start, self._forms, known.answered))
        return found

    async def _say(self, connection: Connection, one: _Say) -> bool:
        """Whether it is done with; False if it could not be noted, and so did not leave."""
        epoch = self._consent.gate()
        record = shared(RecordKind.ANSWERS, one.record | {"ts": self._clock.now()}, self._consent.grants)
        if record is None:
            return True
        # By what is told, not by what happens: to say the same again when an event begins would tell that it has begun.
        key = f"{record['revision']} {record['status']} {record.get('reason', '')}"
        event_id = str(record["id"])
        if one.answered == key and event_id not in self._again:
            return True
        for form in one.forms:
            if form == "json":
                topic, body = self._topics.answer(self._name), json.dumps(record, separators=(",", ":")).encode()
            elif one.start is not None:
                text = old_form.answer_text(event_id, EventStatus(record["status"]), one.start, self._clock.now(), self._station.zone)
                topic, body = self._topics.old_participant(self._name), text.encode()
            else:
                continue
            if not await self._send(connection, topic, body, epoch):
                return False
        self._again.discard(event_id)
        if not await connection.drained(DRAINED_WITHIN_S) or self._consent.gate() != epoch:
            # Not acknowledged, or thrown away because the person chose anew meanwhile.
            self._again.add(event_id)
            self._news.set()
        elif one.answered is not None:
            self._store.told(event_id, key)
            self._keep()
        return True

    async def _send(self, connection: Connection, topic: str, body: bytes, epoch: int) -> bool:
        try:
            to = f"{self._receiver} {topic}"
            begin = partial(self._sent.begin, to=to, route="mqtt", kind="answers", records=1, body=Packed.of(body))
            number = await asyncio.to_thread(begin, self._clock.now())
            if self._consent.gate() == epoch:
                connection.send(Outgoing(topic, body, 1, False))
                await asyncio.to_thread(self._sent.end, number, "sent")
            else:
                await asyncio.to_thread(self._sent.never_left, number)
        except OSError as error:
            # What cannot be noted does not leave.
            log.warning("an answer to the aggregator waits: %s", error)
            return False
        return True


def reason_of(event: EventMessage) -> AnswerReason:
    """Why an event stands where it stands, as a code: its own sentence may say more than is shared."""
    words = event.status_reason
    if event.status is EventStatus.OPTED_OUT:
        return AnswerReason.NO_ANSWER if "nobody answered" in words else AnswerReason.OPTED_OUT
    if event.status is EventStatus.CANCELLED:
        return AnswerReason.SUPERSEDED if words.startswith("superseded") else AnswerReason.CANCELLED
    by_status = {EventStatus.EXPIRED: AnswerReason.MISSED, EventStatus.REFUSED: AnswerReason.NOT_POSSIBLE}
    return by_status.get(event.status, AnswerReason.NONE)
