"""Events out, answers and presence in."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from services.aggregator import metrics
from services.aggregator.config import AggregatorFile
from services.aggregator.line import Arrived, Line
from services.aggregator.store import answers, events, stations
from services.aggregator.store.database import of_the_database
from services.aggregator.store.events import Called
from services.aggregator.store.writer import Busy, Writer
from services.bus.clock import Clock
from services.bus.ratelimit import RateLimit
from services.bus.uplink import old_form
from services.bus.uplink.messages import Answer, Online
from services.bus.uplink.signing import sign
from services.bus.uplink.topics import OLD_ROOT, NetworkTopics, station_of
from services.core.events import ID_PATTERN, EventStatus

LOOK_EVERY_S = 0.25
"""How soon an event that `sps aggregator schedule` put into the database goes out."""
LONGEST_BYTES = 4_096
TRY_AGAIN_S = 1.0

log = logging.getLogger(__name__)

T = TypeVar("T")


class Signals:
    """The loops between the broker and the database."""

    def __init__(self, file: AggregatorFile, line: Line, engine: Engine, writer: Writer, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._file = file
        self._line = line
        self._engine = engine
        self._writer = writer
        self._key = key
        self._clock = clock
        self._topics = NetworkTopics(file.network)
        self._limit = RateLimit()
        self._online: set[str] = set()
        self._epoch = 0
        self.nudged = asyncio.Event()
        """Set where an event has just been called."""

    @staticmethod
    def filters(file: AggregatorFile) -> list[str]:
        """What to subscribe to."""
        topics = NetworkTopics(file.network)
        return [topics.answers, topics.onlines, *([f"{OLD_ROOT}/Participant/+"] if file.old_form else [])]

    @property
    def online(self) -> int:
        """How many stations say that they are there."""
        return len(self._online)

    async def send(self) -> None:
        """Send what has yet to go out, until cancelled. What the broker has acknowledged is not sent again."""
        while True:
            try:
                for one in await asyncio.to_thread(self._read, events.unsent):
                    if await self._line.publish_all(self._messages(one)):
                        await self._writer.do(_mark(one))
                        metrics.EVENTS.inc()
            except Exception:
                # The outermost edge: a defect or a lost database costs this round.
                log.exception("events could not be sent; trying again")
                await self._clock.sleep(TRY_AGAIN_S)
            self.nudged.clear()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self.nudged.wait()
            except TimeoutError:
                pass

    async def doubt(self) -> None:
        """Forget who is online while the broker cannot tell, until cancelled."""
        doubted = False
        while True:
            lost = self._line.problem is not None
            # A broker that came back between two looks has forgotten as much, and perhaps nobody has said anything since.
            anew = self._begins(self._line.epoch)
            if (lost and not doubted) or anew:
                try:
                    await self._writer.do(stations.forget_presence)
                except (Busy, SQLAlchemyError) as error:
                    log.warning("presence cannot be forgotten: %s; trying again", getattr(error, "orig", error))
                    self._epoch, lost = 0, False
            doubted = lost
            await self._clock.sleep(TRY_AGAIN_S)

    def _begins(self, epoch: int) -> bool:
        """Whether this connection is a new one, after which nothing holds that was told before. True once, to whoever then forgets it."""
        if epoch == self._epoch:
            return False
        self._epoch = epoch
        self._online.clear()
        return True

    async def hear(self) -> None:
        """Keep what stations say, until cancelled; the broker hears that it is kept only when it is on disk."""
        while True:
            messages = await self._line.arrived()
            await self._take_all(messages)
            self._line.keep(messages)

    async def _take_all(self, messages: list[Arrived]) -> None:
        """Keep what can be kept, however long that takes."""
        while True:
            try:
                await self._take(messages)
            except Busy as error:
                log.warning("what stations said cannot be kept: %s; trying again", error)
            except Exception as error:
                # The outermost edge: what is not kept is not acknowledged either.
                if not of_the_database(error):
                    await self._take_apart(messages, error)
                    break
                log.exception("what stations said could not be kept; trying again")
            else:
                break
            await self._clock.sleep(TRY_AGAIN_S)

    async def _take_apart(self, messages: list[Arrived], error: Exception) -> None:
        """Pass over the one that nothing will ever keep: it must not stop what all others say."""
        if len(messages) == 1:
            self._complain(messages[0], f"it cannot be kept: {type(error).__name__}: {str(error)[:200]}")
            return
        # By halves, so that one in a thousand is found in a few commits.
        middle = len(messages) // 2
        await self._take_all(messages[:middle])
        await self._take_all(messages[middle:])

    async def _take(self, messages: list[Arrived]) -> None:
        now = self._clock.now()
        heard: list[answers.Heard] = []
        said: dict[str, bool | None] = {}
        for message in messages:
            name = station_of(message.topic)
            if message.topic.startswith(OLD_ROOT):
                if (old := await self._old_answer(message)) is not None:
                    heard.append(answers.Heard(message.topic.split("/")[-1], old, now))
            elif name is None or len(message.payload) > LONGEST_BYTES:
                self._complain(message, "too long, or on a topic that is no station's")
            elif message.topic.endswith("/online"):
                said[name] = self._presence(message)
            elif (answer := self._answer(message)) is not None:
                heard.append(answers.Heard(name, answer, now))
        presence = [(name, online, now) for name, online in said.items()]

        anew = self._begins(messages[-1].epoch)

        def keep(connection: Connection) -> list[answers.Heard]:
            if anew:
                # A broker that was killed had no time for anybody's last will.
                stations.forget_presence(connection)
            stations.present(connection, presence)
            return answers.keep(connection, heard)

        try:
            unknown = await self._writer.do(keep)
        except Exception:
            self._epoch = 0 if anew else self._epoch
            raise
        metrics.ANSWERS.inc(len(heard) - len(unknown))
        for one in unknown:
            self._tell(
                ("strange", one.station), "%s answered event %s, which is not known here, or is not enrolled", one.station, one.answer.id
            )
        came = [name for name, online in said.items() if online and name not in self._online]
        await self._remind(came)
        # Only now: if reminding fails, all is tried again, and they have still just come.
        self._online = (self._online | set(came)) - {name for name, online in said.items() if not online}

    async def _remind(self, names: list[str]) -> None:
        """Send who has come back what it has not answered: a broker keeps only so much for who is away."""
        for first in range(0, len(names), 500):
            some = names[first : first + 500]
            now = self._clock.now()
            missing = await asyncio.to_thread(self._read, lambda connection, some=some, now=now: events.unanswered(connection, some, now))
            await self._line.publish_all([(self._topics.station_event(name), self._signed(one, name)) for name, one in missing if one.sent])

    def _messages(self, one: Called) -> list[tuple[str, bytes]]:
        if one.stations:
            return [(self._topics.station_event(name), self._signed(one, name)) for name in one.stations]
        found = [(self._topics.event, self._signed(one, None))]
        # It knows no amendment: what is sent again with another start or time of sending is another event there.
        if self._file.old_form and one.revision == 0:
            found.append((self._topics.old_event, old_text(one, self._file).encode()))
        return found

    def _signed(self, one: Called, station: str | None) -> bytes:
        message = one.message(self._file.network, station, self._clock.now(), secrets.token_urlsafe(12))
        return sign(message.model_dump_json(exclude_none=True).encode(), self._key, self._file.key_id)

    def _presence(self, message: Arrived) -> bool | None:
        if not message.payload:
            return None
        try:
            return Online.model_validate_json(message.payload).online
        except ValidationError:
            self._complain(message, "not a message of presence")
            return None

    def _answer(self, message: Arrived) -> Answer | None:
        try:
            return Answer.model_validate_json(message.payload)
        except ValidationError as error:
            self._complain(message, f"not an answer: {error.errors(include_url=False)[0]['msg']}")
            return None

    async def _old_answer(self, message: Arrived) -> Answer | None:
        parts = message.payload[:LONGEST_BYTES].decode(errors="replace").split(old_form.MARK)
        known = None
        if len(parts) == 4 and ID_PATTERN.fullmatch(parts[0]) and parts[1] in set(EventStatus):
            known = await asyncio.to_thread(self._read, lambda connection: events.by_old_id(connection, parts[0]))
        if known is None:
            self._complain(message, "not an answer in the older form")
            return None
        return Answer(id=known[0], revision=known[1], status=EventStatus(parts[1]), ts=self._clock.now())

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._engine.connect() as connection:
            return work(connection)

    def _complain(self, message: Arrived, why: str) -> None:
        self._tell(("bad", message.topic), "a message on %s is passed over: %s", message.topic[:120], why)

    def _tell(self, kind: tuple[str, str], text: str, *arguments: object) -> None:
        if (suppressed := self._limit.tell(kind, self._clock.monotonic())) is not None:
            log.warning("%s%s", text % arguments, f" ({suppressed} more like it)" if suppressed else "")


def old_text(one: Called, file: AggregatorFile) -> str:
    """The event in the older form, which knows no end, goal, amendment or cancellation."""
    kind = "immediate" if one.start <= one.ts else "contingency"
    return old_form.event_text(one.programme or "EVENT", kind, one.start, one.ts, file.zone)


def _mark(one: Called) -> Callable[[Connection], None]:
    return lambda connection: events.sent(connection, one.id, one.revision)
