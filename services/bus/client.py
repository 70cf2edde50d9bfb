"""The bus as a service sees it: typed messages in and out, whatever the connection does."""

import asyncio
import contextlib
import logging
import random
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from services.bus import vitals
from services.bus.clock import Clock, FollowedClock, Rate, SystemClock, utc_now
from services.bus.connection import Connection
from services.bus.contract import CHANNELS, CLOCK, SERVICE_ERROR, SERVICE_STATUS, SERVICE_VITALS, Channel, M
from services.bus.decode import Refused, decode
from services.bus.link_options import LinkOptions
from services.bus.messages.base import Payload
from services.bus.messages.state import ClockMessage, ServiceError, ServiceStatus
from services.bus.metrics import BusMeters
from services.bus.outbox import COMMAND_LIFE_S, Outgoing
from services.bus.ratelimit import RateLimit
from services.bus.repeats import Repeats
from services.bus.topics import Topics
from services.core.problems import LONGEST_VALUE

FAREWELL_S = 2.0
"""How long leaving may take, so that what was published last is acknowledged."""
CLOCK_NOTICE_S = 10.0

VERSION = version("smart-power-station")

log = logging.getLogger(__name__)

P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A checked message and how it came."""

    message: M
    params: Mapping[str, str]
    """What the placeholders of the channel's pattern stand for, such as `{"position": "p1"}`."""
    topic: str
    retained: bool
    received_at: float
    """Real seconds, by `clock.monotonic()`."""


@dataclass(frozen=True, slots=True)
class _Subscription:
    handler: Callable[[Received[Any]], None]
    cleared: Callable[[Mapping[str, str]], None] | None


class Bus:
    """One service's place on the bus; use it as an async context manager, and from its event loop only.

    Entering starts connecting and does not wait for the broker. Leaving says offline. With `announce=False` there is
    no status, no last will, and errors go to the log alone: for a short-lived client such as a command-line tool. With
    `alone=False` several may share the service's name and status: whoever is left says so again (`announce`) when one of them leaves.
    """

    def __init__(
        self,
        station: str,
        service: str,
        address: tuple[str, int],
        *,
        clock: Clock,
        jitter: random.Random,
        announce: bool = True,
        alone: bool = True,
        options: Callable[[], LinkOptions] = LinkOptions,
    ) -> None:
        self.service = service
        self._clock = clock
        self._announce = announce
        self._topics = Topics(station, CHANNELS)
        self._subscriptions: dict[str, tuple[Channel[Any], list[_Subscription]]] = {}
        self._retained: dict[str, Outgoing] = {}
        self._texts: dict[str, Callable[[str], None]] = {}
        self._repeats = Repeats()
        self._limit = RateLimit()
        self._problem: str | None = None
        self._since: datetime | None = None
        self._running: list[asyncio.Task[None]] = []
        # The same name each time makes the broker end a connection that died unnoticed, and publish its last will, before it accepts
        # the new one. Two services of one name would push each other out for ever, which shows in both logs.
        name = f"sps-{station}-{service}" if announce and alone else f"sps-{station}-{service}-{jitter.getrandbits(32):08x}"
        self._meters = BusMeters(service)
        # The registry outlives us and must not keep us.
        ours = weakref.ref(self)
        self._meters.follow(lambda: (bus := ours()) is not None and bus.connected)
        self._connection = Connection(
            address,
            name,
            clock=clock,
            jitter=jitter,
            will=self._last_will,
            on_connected=self._connected,
            on_message=self._received,
            options=options,
        )
        # Whoever publishes the clock must not follow what it said before its restart.
        if isinstance(clock, FollowedClock) and service != CLOCK.publisher:
            self.subscribe(CLOCK, self._follow)

    async def __aenter__(self) -> Self:
        self._running.append(asyncio.create_task(self._connection.run(), name=f"{self.service}: bus"))
        if self._announce:
            self._running.append(asyncio.create_task(self._tell_vitals(), name=f"{self.service}: vitals"))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._connection.linked:
                self._publish_status("offline")
                await self._connection.drained(FAREWELL_S)
        finally:
            for task in self._running:
                task.cancel()
            for task in self._running:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and our subscriptions."""
        return self._connection.up.is_set()

    @property
    def trouble(self) -> str | None:
        """Why the broker could not be reached or did not let us in, in words; None while connected."""
        return self._connection.trouble

    @property
    def turned_away(self) -> bool:
        """Whether there is a broker that does not let us in, or whom we do not trust, until somebody mends a file."""
        return self._connection.turned_away

    async def wait_connected(self) -> None:
        """Wait until connected."""
        await self._connection.up.wait()

    async def wait_clock(self) -> None:
        """Wait until station time is known; says every 10 s what it waits for, in the log and in its status."""
        noticed_at = self._clock.monotonic()
        told = False
        while not self._clock.known:
            if self._clock.monotonic() - noticed_at >= CLOCK_NOTICE_S:
                noticed_at = self._clock.monotonic()
                log.warning("%s waits for %s", self.service, self._missing_clock())
                self.health(f"waits for {self._missing_clock()}")
                told = True
            await self._clock.sleep(0.05)
        if told:
            self.health(None)

    def publish(self, channel: Channel[P], message: P, **params: str) -> None:
        """Send `message`; never blocks. While offline QoS 1 waits (commands at most a minute) and QoS 0 is dropped.

        Raises TypeError if the message is not the channel's, ValueError if `params` do not make a topic.
        """
        if not isinstance(message, channel.model):
            raise TypeError(f"{channel.pattern} carries {channel.model.__name__}, not {type(message).__name__}")
        self._send(channel, message.model_dump_json().encode(), params)

    def clear(self, channel: Channel[P], **params: str) -> None:
        """Empty a retained topic, so that newcomers no longer receive it. Raises ValueError if it is not retained."""
        if not channel.retain:
            raise ValueError(f"{channel.pattern} is not retained: there is nothing to clear")
        self._send(channel, b"", params)

    def subscribe(
        self,
        channel: Channel[P],
        handler: Callable[[Received[P]], None],
        *,
        cleared: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        """Have `handler` called for each good message of `channel`, and `cleared` when a retained topic is emptied.

        Handlers run in the event loop: synchronous and quick. They must bear a retained message more than once. Bad payloads
        never reach them, nor do repeated commands, nor retained copies on a channel that does not retain.
        """
        _, subscriptions = self._subscriptions.setdefault(channel.pattern, (channel, []))
        subscriptions.append(_Subscription(handler, cleared))
        self._connection.subscribe({self._topics.filter(channel): channel.qos})

    def publish_foreign(self, topic: str, payload: str) -> None:
        """Retain `payload` on a topic outside `sps/`, whose form is somebody else's; an empty one takes it off the broker.

        Raises ValueError for a topic under `sps/`: what is ours goes through a channel.
        """
        if topic.startswith("sps/"):
            raise ValueError(f"{topic} is one of ours: publish it on its channel")
        outgoing = Outgoing(topic, payload.encode(), 1, True)
        self._retained[topic] = outgoing
        self._connection.send(outgoing)

    def subscribe_text(self, path: str, handler: Callable[[str], None]) -> None:
        """Have `handler` called with each plain-text command on `sps/<station>/<path>`, for clients that send no JSON.

        Retained copies and texts that are not UTF-8 are reported and dropped, as on a command channel.
        """
        topic = self._topics.root + path
        self._texts[topic] = handler
        self._connection.subscribe({topic: 1})

    def report(
        self, message: str, *, field: str | None = None, value: str | None = None, remedy: str = "", topic: str | None = None
    ) -> None:
        """Tell a person what was refused or went wrong: in the log and on `service/<name>/error`.

        The first of a kind at once, then at most one in 10 real seconds. A kind is the topic and field, or else the message.
        """
        kind = (topic, field) if topic is not None or field is not None else (message,)
        if (suppressed := self._limit.tell(kind, self._clock.monotonic())) is None:
            return
        value = value and value[:LONGEST_VALUE]
        told = ServiceError(ts=self._now(), topic=topic, field=field, value=value, message=message, remedy=remedy, suppressed=suppressed)
        parts = [topic, message, field and f"field {field}", value, remedy]
        log.warning("%s: %s%s", self.service, "; ".join(p for p in parts if p), f" ({suppressed} more like it)" if suppressed else "")
        if self._announce:
            self.publish(SERVICE_ERROR, told, service=self.service)

    def announce(self) -> None:
        """Say again that this service is online: somebody else of its name has said otherwise."""
        self._publish_status("online")

    def health(self, problem: str | None) -> None:
        """Publish `problem` as what is degraded, or None for all well; only changes are sent."""
        if problem != self._problem:
            self._problem = problem
            self._publish_status("online")

    def _send(self, channel: Channel[Any], payload: bytes, params: Mapping[str, str]) -> None:
        self._meters.sent.inc()
        expires_at = self._clock.monotonic() + COMMAND_LIFE_S if channel.command else None
        outgoing = Outgoing(self._topics.build(channel, params), payload, channel.qos, channel.retain, expires_at)
        if channel.retain:
            self._retained[outgoing.topic] = outgoing
        self._connection.send(outgoing)

    def _connected(self) -> None:
        self._meters.opened()
        self._connection.subscribe({self._topics.filter(channel): channel.qos for channel, _ in self._subscriptions.values()})
        self._connection.subscribe(dict.fromkeys(self._texts, 1))
        # A broker may come back without what it had acknowledged: it saves now and then, for the sake of SD cards and of
        # everybody's latency. Whoever owns a retained topic knows what belongs there.
        for outgoing in self._retained.values():
            self._connection.send(outgoing)
        # What was reported while nobody could hear it may be reported again.
        self._limit = RateLimit()
        self._retained = {topic: outgoing for topic, outgoing in self._retained.items() if outgoing.payload}
        self._publish_status("online")

    def _received(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic in self._texts:
            self._meters.received.inc()
            self._received_text(topic, payload, retained)
            return
        found = self._topics.identify(topic)
        # `event/+` also brings `event/command`, which whoever asked for events did not ask for.
        if found is None or found[0].pattern not in self._subscriptions:
            return
        self._meters.received.inc()
        channel, params = found
        _, subscriptions = self._subscriptions[channel.pattern]
        if not payload and (channel.retain or channel.command):
            self._run_all([s.cleared for s in subscriptions if s.cleared is not None], params, topic)
            return
        if channel.command and not self._may_command(topic, payload, retained):
            return
        if retained and not channel.retain:
            # A reading that somebody retained may be of any age, and would come back as new at each connection.
            log.debug("%s: a retained copy on %s was passed over", self.service, topic)
            return
        try:
            message = decode(channel.model, payload)
        except Refused as refused:
            self._meters.refused.inc()
            for problem in refused.problems:
                self.report("message refused", topic=topic, field=problem.field or None, value=problem.value or None, remedy=problem.remedy)
            return
        received = Received(message, params, topic, retained, self._clock.monotonic())
        self._run_all([s.handler for s in subscriptions], received, topic)

    def _received_text(self, topic: str, payload: bytes, retained: bool) -> None:
        if retained and payload:
            self._drop_retained(topic)
            return
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self._meters.refused.inc()
            self.report("message refused", topic=topic, field="text", value=repr(payload[:40]), remedy="send UTF-8")
            return
        self._run_all([self._texts[topic]], text, topic)

    def _drop_retained(self, topic: str) -> None:
        self._meters.refused.inc()
        remedy = f"publish it without the retain flag, and remove it: mosquitto_pub -r -n -t {topic}"
        self.report("retained command dropped", topic=topic, field="retain", value="true", remedy=remedy)

    def _may_command(self, topic: str, payload: bytes, retained: bool) -> bool:
        if retained:
            self._drop_retained(topic)
            return False
        if self._repeats.repeated(topic, payload, self._clock.monotonic()):
            log.debug("%s: %s repeated within a minute; counted once", self.service, topic)
            return False
        return True

    def _run_all(self, handlers: list[Callable[[Any], None]], argument: object, topic: str) -> None:
        begun = self._clock.monotonic()
        for handler in handlers:
            try:
                handler(argument)
            except Exception:
                log.exception("%s: failed to handle a message on %s", self.service, topic)
        self._meters.handler_seconds.observe(self._clock.monotonic() - begun)

    def _follow(self, received: Received[ClockMessage]) -> None:
        if isinstance(self._clock, FollowedClock):
            message = received.message
            self._clock.follow(Rate(message.epoch_wall, message.epoch_station, message.speed))
        if self._since is None:
            self._publish_status("online")

    def _publish_status(self, state: Literal["online", "offline"]) -> None:
        if self._announce:
            self.publish(SERVICE_STATUS, self._status(state), service=self.service)

    async def _tell_vitals(self) -> None:
        while True:
            await self.wait_connected()
            if self._clock.known:
                self.publish(SERVICE_VITALS, vitals.vitals(self._clock), service=self.service)
            await self._clock.sleep(vitals.EVERY_S)

    def _status(self, state: Literal["online", "offline"]) -> ServiceStatus:
        if self._since is None and self._clock.known:
            self._since = self._clock.now()
        return ServiceStatus(
            ts=self._now(),
            state=state,
            version=VERSION,
            since=self._since or self._now(),
            health="degraded" if self._problem else "ok",
            detail=self._problem or "",
        )

    def _last_will(self) -> Outgoing | None:
        if not self._announce:
            return None
        topic = self._topics.build(SERVICE_STATUS, {"service": self.service})
        return Outgoing(topic, self._status("offline").model_dump_json().encode(), SERVICE_STATUS.qos, SERVICE_STATUS.retain)

    def _now(self) -> datetime:
        # A last will and an early error need a time before station time is known.
        return self._clock.now() if self._clock.known else utc_now()

    def _missing_clock(self) -> str:
        if isinstance(self._clock, SystemClock):
            return self._clock.missing
        if not self.connected:
            return "the broker"
        return f"the simulator to publish {self._topics.build(CLOCK, {})}; is it running?"
