"""Events from the aggregator: judged, kept on disk before they are acknowledged, and delivered until the controller has them."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from services.bus.clock import Clock
from services.bus.link_options import MAX_UNACKNOWLEDGED, Delivery
from services.bus.messages.events import EventCommand, EventMessage
from services.core.sharing import AnswerReason
from services.gateway.aggregator_link.buckets import Bucket
from services.gateway.aggregator_link.inbox_store import MOST_PENDING, InboxStore, Outcome
from services.gateway.aggregator_link.judging import Refusal, Rules, Signal, Way, command_of, judge
from services.gateway.commands import answers
from services.gateway.problems import ApiError

log = logging.getLogger(__name__)

LOOKED_AT = (300, 100.0)
"""So many messages are looked at, at once and a second, good or bad; the rest is dropped and counted."""
TAKEN = (30, 2.0)
"""So many different events are taken, at once and a second; the rest waits, as far as the broker lets it."""
MOST_HELD = MAX_UNACKNOWLEDGED
"""So many wait unacknowledged: a broker that heeds its window sends no more meanwhile. Beyond, they are refused, and told so."""
MOST_OF_ONE = 3
"""So much of one known event may be pending besides what makes MOST_PENDING: its schedule, its cancellation, and a newer schedule."""
REPEAT_WITHIN = timedelta(minutes=10)
"""The same signed message again within this time is its sender being careful; later it is somebody's replay."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
GATHER_S = 0.05
"""Real seconds before what was taken is written: the controller's own writing of the event goes first, and both fit into one."""
NOTES = 100

Send = Callable[[EventCommand], Awaitable[tuple[str, EventMessage | None]]]
"""The event's id and, if the controller answered in time, the event. Raises ApiError."""


@dataclass(frozen=True, slots=True)
class Note:
    """What came of one message, for the page."""

    ts: datetime
    event_id: str
    outcome: str
    message: str
    notice: str = ""
    """The aggregator's own words: text, never HTML."""
    signed_by: str | None = None


@dataclass(frozen=True, slots=True)
class _Wait:
    """What nobody answered for: how often in a row, and when it is tried again (real seconds)."""

    signal: Signal
    failures: int
    until_s: float


@dataclass(frozen=True, slots=True)
class _Held:
    """An event that came too quickly after others."""

    way: Way
    signal: Signal
    delivery: Delivery


class Inbox:
    """Belongs to the event loop."""

    def __init__(
        self,
        store: InboxStore,
        rules: Rules,
        clock: Clock,
        *,
        knows: Callable[[str], EventMessage | None],
        report: Callable[[Refusal, str], None],
        refused: Callable[[Refusal, Way], None],
        repeated: Callable[[str], None],
    ) -> None:
        """`knows` gives an event on the local bus; `report` tells the person, `refused` the sender; `repeated` that an event came again."""
        self.store = store
        self.notes: deque[Note] = deque(maxlen=NOTES)
        self._rules = rules
        self._clock = clock
        self._knows = knows
        self._report = report
        self._refused = refused
        self._repeated = repeated
        self._looked_at, self._taken = Bucket(*LOOKED_AT), Bucket(*TAKEN)
        self._to_acknowledge: list[Delivery] = []
        self._held: list[_Held] = []
        self._holding = asyncio.Event()
        self._unsaved, self._work = asyncio.Event(), asyncio.Event()
        self._changes = self._kept = 0
        if store.pending:
            self._work.set()

    def receive(self, way: Way, delivery: Delivery) -> None:
        """Take one message up. What is refused is acknowledged at once: to have it again would change nothing."""
        if not self._looked_at.take(self._clock.monotonic()):
            self._refuse(Refusal(AnswerReason.TOO_MANY, "more messages a second than are looked at", field="rate"), way, delivery.topic)
        elif delivery.retained:
            why = Refusal(
                AnswerReason.BAD_MESSAGE, "a retained event is dropped", field="retain", remedy="publish it without the retain flag"
            )
            self._refuse(why, way, delivery.topic)
        else:
            self._take_up(way, delivery)
            return
        delivery.acknowledge()

    async def resume(self) -> None:
        """Take up what was held back, in the order in which it came, as fast as events are taken. Until cancelled."""
        while True:
            await self._holding.wait()
            await self._clock.sleep(1 / TAKEN[1])
            self._drop_lost()
            while self._held and self._take_up(self._held[0].way, self._held[0].delivery, self._held[0].signal):
                del self._held[0]
            if not self._held:
                self._holding.clear()

    def _take_up(self, way: Way, delivery: Delivery, held: Signal | None = None) -> bool:
        """Accept a message, hold it back or refuse it; False for one that goes on being `held`."""
        try:
            signal = held or judge(way, delivery.payload, self._rules, self._clock.now())
            in_turn = held is not None or all(one.signal.id != signal.id for one in self._held)
            if in_turn and self._accept(signal, delivery):
                return True
            if held is None:
                self._hold(_Held(way, signal, delivery))
        except Refusal as refusal:
            self._refuse(refusal, way, delivery.topic)
        except Exception:
            # The outermost edge: a message that we fail on would come again with each connection, and stop those behind it.
            log.exception("a message from the aggregator on %s cannot be handled", delivery.topic)
            self._refuse(Refusal(AnswerReason.BAD_MESSAGE, "it cannot be handled; the log says more"), way, delivery.topic)
        else:
            return False
        delivery.acknowledge()
        return True

    def _hold(self, one: _Held) -> None:
        self._drop_lost()
        if len(self._held) >= MOST_HELD:
            remedy, about = f"send at most {TAKEN[1]:g} events a second", (one.signal.id, one.signal.revision)
            raise Refusal(AnswerReason.TOO_MANY, "more events than a station takes at once", field="rate", remedy=remedy, event=about)
        if not self._held:
            log.warning("more events from the aggregator than a station takes at once: the rest waits")
            self.note("", "waiting", "more events than a station takes at once: the rest waits")
        self._held.append(one)
        self._holding.set()

    def _drop_lost(self) -> None:
        """What came over a connection that is lost comes again over the next one."""
        self._held = [one for one in self._held if not one.delivery.lost()]

    def note(self, event_id: str, outcome: str, message: str, signal: Signal | None = None) -> None:
        """Remember for the page what came of something."""
        notice, kid = (signal.notice, signal.kid) if signal else ("", None)
        self.notes.appendleft(Note(self._clock.now(), event_id, outcome, message, notice, kid))

    def changed(self) -> None:
        """The store is to be written."""
        self._changes += 1
        self._unsaved.set()

    def _accept(self, signal: Signal, delivery: Delivery) -> bool:
        """Whether it is taken, or known already; False if it came too quickly after others."""
        known, used = self.store.last(signal.id), self.store.nonce_of(signal)
        about = signal.id, signal.revision
        if signal.digest in (known.signal.digest if known else None, used[1] if used else None):
            if used is not None and self._clock.now() - used[0] > REPEAT_WITHIN:
                # For the person alone: a refusal would tell the aggregator that the station leaves an event that it takes part in.
                self._report(
                    Refusal(AnswerReason.REPLAYED, f"event {signal.id}: the message was seen before", field="nonce"), delivery.topic
                )
                self.note(signal.id, "ignored", "the message was seen before", signal)
            self._repeated(signal.id)
            self._acknowledge_once_kept(delivery)
            return True
        if used is not None or self.store.below_floor(signal):
            raise Refusal(AnswerReason.REPLAYED, f"event {signal.id}: its nonce was used before", field="nonce", event=about)
        own = self._knows(signal.id) if known is None else None
        if own is not None and not _delivered_before(signal, own):
            why = f"event {signal.id} of this station is not the aggregator's"
            raise Refusal(AnswerReason.NOT_POSSIBLE, why, field="id", value=signal.id, remedy="use an id of your own", event=about)
        if known is not None and _stale(signal, known.signal):
            self.note(signal.id, "ignored", f"revision {signal.revision} says nothing newer than {known.signal.revision}", signal)
            self._repeated(signal.id)
            self._acknowledge_once_kept(delivery)
            return True
        # The end of an event, or its change, is not kept waiting by other events: the station would act on what holds no more.
        prompt = known is not None and len(self.store.pending_of(signal.id)) < MOST_OF_ONE
        if not prompt and (len(self.store.pending) >= MOST_PENDING or not self._taken.take(self._clock.monotonic())):
            return False
        self.store.take(signal, self._clock.now())
        self.changed()
        self._acknowledge_once_kept(delivery)
        self._work.set()
        return True

    def _acknowledge_once_kept(self, delivery: Delivery) -> None:
        """Also of a message that came before: where the disk is full, what is known of it is in memory only."""
        if self._kept == self._changes:
            delivery.acknowledge()
        else:
            self._to_acknowledge.append(delivery)

    def _refuse(self, refusal: Refusal, way: Way, topic: str) -> None:
        self._report(refusal, topic)
        self._refused(refusal, way)
        self.note(refusal.event[0] if refusal.event else "", "refused", refusal.message)

    async def keep(self) -> None:
        """Write the store when it has changed, and acknowledge what is safe then. Until cancelled."""
        failures = 0
        while True:
            await self._unsaved.wait()
            await asyncio.sleep(GATHER_S)
            self._unsaved.clear()
            deliveries, self._to_acknowledge = self._to_acknowledge, []
            changes = self._changes
            try:
                await asyncio.to_thread(self.store.write, self.store.snapshot())
            except OSError as error:
                # Not acknowledged: the broker keeps it for us.
                log.warning("events from the aggregator cannot be kept: %s; trying again", error)
                self._to_acknowledge = deliveries + self._to_acknowledge
                failures += 1
                await self._clock.sleep(min(FIRST_WAIT_S * 2.0 ** min(failures, 8), LONGEST_WAIT_S))
                self._unsaved.set()
                continue
            failures, self._kept = 0, changes
            for delivery in deliveries:
                delivery.acknowledge()

    async def deliver(self, send: Send, usual: Callable[[], timedelta]) -> None:
        """Pass on what is pending, one by one, until each is on the controller's side. Until cancelled.

        Of one event in the order in which it came; what nobody answers for keeps no other event waiting.
        """
        waits: dict[str, _Wait] = {}
        while True:
            self._work.clear()
            signal, wait_s = self._next(waits)
            if signal is None or wait_s > 0:
                await self._work_or(None if signal is None else wait_s)
                continue
            try:
                command = command_of(signal, self._clock.now(), usual())
            except (OverflowError, ValueError) as error:
                # An earlier version took what no command can be made of, and would have tried it for ever.
                self._settle(signal, "refused", f"no command can be made of it: {error}")
                continue
            if command is None:
                self._settle(signal, "missed", "it was over when it arrived")
                continue
            if (refusal := await self._deliver(command, send)) is not None:
                self._settle(signal, *refusal)
                continue
            failures = waits[signal.id].failures + 1 if signal.id in waits else 1
            wait_s = min(FIRST_WAIT_S * 2.0 ** min(failures, 8), LONGEST_WAIT_S)
            waits[signal.id] = _Wait(signal, failures, self._clock.monotonic() + wait_s)

    def _next(self, waits: dict[str, _Wait]) -> tuple[Signal | None, float]:
        """What to pass on next, and in how many real seconds: what was never tried comes before what nobody answered for."""
        firsts: dict[str, Signal] = {}
        for one in self.store.pending:
            firsts.setdefault(one.id, one)
        # What is settled, or overtaken by a newer word, waits no longer.
        for event_id in [event_id for event_id, wait in waits.items() if firsts.get(event_id) is not wait.signal]:
            del waits[event_id]
        untried = next((one for one in firsts.values() if one.id not in waits), None)
        if untried is not None or not waits:
            return untried, 0.0
        wait = min(waits.values(), key=attrgetter("until_s"))
        return wait.signal, wait.until_s - self._clock.monotonic()

    async def _work_or(self, timeout_s: float | None) -> None:
        """Wait until something new is to be delivered, or for `timeout_s` at most."""
        if timeout_s is None:
            await self._work.wait()
            return
        waiting = [asyncio.ensure_future(self._work.wait()), asyncio.ensure_future(self._clock.sleep(timeout_s))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _deliver(self, command: EventCommand, send: Send) -> tuple[Outcome, str] | None:
        """What became of it; None if nobody has answered, so that it is to be sent again."""
        try:
            event_id, event = await send(command)
        except ApiError as error:
            known = self._knows(command.id or "")
            if error.status == 409 and known is not None and (command.action == "cancel" or known.revision >= command.revision):
                return "delivered", f"the event is {known.status}"
            return None if error.status == 503 else ("refused", error.problem.message)
        # Without an answer only an event that stands as it was told to shows that it was heard: one that was there before shows nothing.
        if event is None and ((event := self._knows(event_id)) is None or not answers(command, event)):
            return None
        return "delivered", f"the event is {event.status}"

    def _settle(self, signal: Signal, outcome: Outcome, why: str) -> None:
        self.store.settle(signal, outcome, why)
        self.changed()
        self.note(signal.id, outcome, why, signal)
        if outcome != "delivered":
            reason = AnswerReason.MISSED if outcome == "missed" else AnswerReason.NOT_POSSIBLE
            about = signal.id, signal.revision
            refusal = Refusal(reason, f"event {signal.id} from the aggregator: {why}", field="event", value=signal.id, event=about)
            self._report(refusal, "")
            self._refused(refusal, "old" if signal.form == "old" else "all")


def _delivered_before(signal: Signal, own: EventMessage) -> bool:
    """Whether the station's event is this very one: the controller had it, and a crash came before it was written down here."""
    if signal.action != "schedule" or signal.start is None or own.revision != signal.revision:
        return False
    # The bus has milliseconds, and the aggregator may have more.
    return abs(own.start - signal.start) < timedelta(milliseconds=1)


def _stale(signal: Signal, known: Signal) -> bool:
    """Whether what is known already is the later word. A cancellation needs no revision, as on the station's own bus."""
    if signal.action == "cancel":
        return known.action == "cancel" or signal.sent < known.sent
    return signal.revision <= known.revision
