"""A crowd of light stations: they connect, answer every event, play it through, and hand over what they would report."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from services.bus.clock import Clock
from services.bus.uplink.messages import AggregatorEvent, Answer, Online
from services.bus.uplink.signing import BadSignature, looks_signed, verify
from services.bus.uplink.topics import NetworkTopics
from services.core.events import EventStatus
from services.core.sharing import AnswerReason
from services.simulator.fleet.home import Home, Span, home
from services.simulator.fleet.mqtt_line import MqttLine

DIALLING = 32
"""Connections that are being opened at once."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
TURN_EVERY_S = 60.0
DEFAULT_DURATION = timedelta(hours=4)
SAID_AGAIN_FOR = timedelta(hours=24)
"""How long an answer is repeated whenever the station comes back."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one station shows at the broker and at the API."""

    name: str
    mqtt: str
    http: str


@dataclass(slots=True)
class Counts:
    """What the crowd did."""

    online: int = 0
    lost: int = 0
    events: int = 0
    answered: int = 0
    refused: int = 0


@dataclass(slots=True)
class LightStation:
    """One of the crowd."""

    number: int
    credentials: Credentials
    home: Home
    line: MqttLine | None = None
    ready: bool = False
    failures: int = 0
    revisions: dict[str, int] = field(default_factory=dict)
    running: dict[str, list[asyncio.TimerHandle]] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    """What it plays and has played, by event: from the start on, because hours that end in it are reported before it is over."""
    answers: dict[str, tuple[datetime, bytes]] = field(default_factory=dict)
    """The last to each event, and when it was given."""
    hours_until: datetime | None = None
    """Its hours until then are handed over; None: none yet."""


class Crowd:
    """Runs until it is left. `settled` is called for each station and event that is over, from the event loop."""

    def __init__(
        self,
        credentials: Sequence[Credentials],
        network: str,
        broker: tuple[str, int],
        keys: Mapping[str, Ed25519PublicKey],
        clock: Clock,
        *,
        random: Random,
        opt_out: float = 0.0,
        tls: ssl.SSLContext | None = None,
        settled: Callable[[LightStation, AggregatorEvent, Span], None] = lambda *_: None,
    ) -> None:
        self.counts = Counts()
        self.stations = [LightStation(number, one, home(number)) for number, one in enumerate(credentials)]
        self._topics = NetworkTopics(network)
        self._network = network
        self._broker = broker
        self._clock = clock
        self._random = random
        self._opt_out = opt_out
        self._tls = tls
        self._settled = settled
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(DIALLING, thread_name_prefix="fleet: dialling")
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._read = _reader(keys, network)

    async def connect(self, progress: Callable[[int, int], None] = lambda *_: None, within_s: float = 300.0) -> None:
        """Connect all; returns when all are, or when the time is over: the rest goes on connecting."""
        waiting = asyncio.Semaphore(DIALLING)

        async def one(station: LightStation) -> None:
            async with waiting:
                await self._dial(station)

        async def everyone() -> None:
            await asyncio.gather(*(one(station) for station in self.stations))

        self._begin(everyone())
        deadline = self._loop.time() + within_s
        while self.counts.online < len(self.stations) and self._loop.time() < deadline:
            await asyncio.sleep(0.2)
            progress(self.counts.online, len(self.stations))
        self._begin(self._turning())

    async def close(self) -> None:
        """Say goodbye for all."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for station in self.stations:
            for event_id, timers in station.running.items():
                for timer in timers:
                    timer.cancel()
                self._cut(station, event_id)
            if station.line is not None:
                if station.ready:
                    self._say_online(station, online=False)
                station.line.close()
        self._pool.shutdown()

    async def _dial(self, station: LightStation) -> None:
        name = station.credentials.name
        station.line = line = MqttLine(
            station.number,
            self._topics.client_id(name),
            (name, station.credentials.mqtt),
            (self._topics.online(name), Online(online=False, ts=self._clock.now()).model_dump_json().encode()),
            [self._topics.event, self._topics.station_event(name)],
            on_ready=lambda: self._ready(station),
            on_message=lambda _topic, payload: self._heard(station, payload),
            on_lost=lambda reason: self._lost(station, reason),
            tls=self._tls,
        )
        try:
            await self._loop.run_in_executor(self._pool, line.open, *self._broker)
        except OSError as error:
            self._lost(station, error.strerror or str(error))
            return
        line.attach()

    def _ready(self, station: LightStation) -> None:
        station.ready, station.failures = True, 0
        self.counts.online += 1
        self._say_online(station, online=True)
        now = self._clock.now()
        station.answers = {event_id: said for event_id, said in station.answers.items() if now - said[0] < SAID_AGAIN_FOR}
        # What was said last may have been lost with the line, or with the broker behind it.
        for _, payload in station.answers.values():
            self._publish(station, self._topics.answer(station.credentials.name), payload)

    def _lost(self, station: LightStation, reason: str) -> None:
        if self._ended:
            return
        if station.ready:
            self.counts.online -= 1
        self.counts.lost += 1
        station.ready = False
        if station.failures == 0:
            log.info("%s: %s; connecting again", station.credentials.name, reason)
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(station.failures, 8)) * self._random.uniform(0.5, 1.0)
        station.failures += 1
        self._loop.call_later(wait_s, lambda: None if self._ended else self._begin(self._dial(station)))

    def _say_online(self, station: LightStation, *, online: bool) -> None:
        message = Online(online=online, ts=self._clock.now())
        self._publish(station, self._topics.online(station.credentials.name), message.model_dump_json().encode(), retain=True)

    def _heard(self, station: LightStation, payload: bytes) -> None:
        event = self._read(payload)
        if event is None or (event.station is not None and event.station != station.credentials.name):
            self.counts.refused += 1
            return
        if event.revision <= station.revisions.get(event.id, -1):
            return
        station.revisions[event.id] = event.revision
        self.counts.events += 1
        for timer in station.running.pop(event.id, ()):
            timer.cancel()
        self._cut(station, event.id)
        if event.action == "cancel" or event.start is None:
            self._answer(station, event, EventStatus.CANCELLED, AnswerReason.CANCELLED)
            return
        span = Span(event.start, event.start + (event.duration or DEFAULT_DURATION))
        now = self._clock.now()
        if span.end <= now:
            self._answer(station, event, EventStatus.EXPIRED, AnswerReason.MISSED)
        elif self._random.random() < self._opt_out:
            self._answer(station, event, EventStatus.OPTED_OUT, AnswerReason.OPTED_OUT)
        else:
            self._play(station, event, span, now)

    def _play(self, station: LightStation, event: AggregatorEvent, span: Span, now: datetime) -> None:
        until_start_s, until_end_s = (span.start - now).total_seconds(), (span.end - now).total_seconds()
        timers = [self._loop.call_later(until_end_s, self._finish, station, event, span)]
        if until_start_s > 0:
            self._answer(station, event, EventStatus.SCHEDULED)
            timers.append(self._loop.call_later(until_start_s, self._answer, station, event, EventStatus.ONGOING))
        else:
            self._answer(station, event, EventStatus.ONGOING)
        station.running[event.id] = timers
        station.spans[event.id] = span

    def _cut(self, station: LightStation, event_id: str) -> None:
        """What it gave until now it gave, whatever becomes of the event."""
        now, span = self._clock.now(), station.spans.pop(event_id, None)
        if span is not None and span.start < now:
            station.spans[event_id] = Span(span.start, min(span.end, now))

    def _finish(self, station: LightStation, event: AggregatorEvent, span: Span) -> None:
        station.running.pop(event.id, None)
        self._answer(station, event, EventStatus.COMPLETED)
        self._settled(station, event, span)

    def _answer(self, station: LightStation, event: AggregatorEvent, status: EventStatus, reason: AnswerReason = AnswerReason.NONE) -> None:
        answer = Answer(id=event.id, revision=event.revision, status=status, reason=reason, ts=self._clock.now())
        self.counts.answered += 1
        payload = answer.model_dump_json(exclude_none=True).encode()
        station.answers[event.id] = answer.ts, payload
        if station.ready:
            self._publish(station, self._topics.answer(station.credentials.name), payload)

    @staticmethod
    def _publish(station: LightStation, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if station.line is not None:
            station.line.publish(topic, payload, retain=retain)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _turning(self) -> None:
        """Ping for whoever has been quiet; a few at a time, so that nobody waits."""
        while True:
            for station in self.stations:
                if station.line is not None:
                    station.line.turn()
                await asyncio.sleep(TURN_EVERY_S / len(self.stations))


def _reader(keys: Mapping[str, Ed25519PublicKey], network: str) -> Callable[[bytes], AggregatorEvent | None]:
    """Checks a message as a station would. All stations of a process hear the same bytes, so each message is checked once."""

    @lru_cache(maxsize=1024)
    def read(payload: bytes) -> AggregatorEvent | None:
        try:
            if looks_signed(payload):
                event = AggregatorEvent.model_validate_json(verify(payload, keys).payload)
                return event if event.network == network else None
            return None if keys else AggregatorEvent.model_validate_json(payload)
        except (BadSignature, ValidationError) as error:
            log.warning("an event is refused: %s", error)
            return None

    return read
