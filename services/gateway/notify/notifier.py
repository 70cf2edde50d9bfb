"""The shell of notifications: looks every few seconds, keeps the memory, and delivers until it is taken or too old."""

import asyncio
from datetime import timedelta
from pathlib import Path

from services.bus.client import Received
from services.bus.clock import BUILT, utc_now
from services.bus.contract import BATTERY_LINK
from services.bus.messages.devices import BatteryLink
from services.gateway.desk import Desk
from services.gateway.notify import memory as kept
from services.gateway.notify.deciding import Message, decide
from services.gateway.notify.facts import facts
from services.gateway.notify.memory import MOST_WAITING, Memory, MemoryUnusable, Waiting
from services.gateway.notify.sender import DeliveryFailed, Sender, Undecided

LOOK_EVERY_S = 2.0
SETTLE_S = 3.0
"""Real seconds from the connection until what the broker retains has come."""
FIRST_RETRY_S = 10.0
LONGEST_RETRY_S = 900.0
GIVEN_UP = timedelta(hours=6)
"""After so long nobody would want the message any more."""


class Notifier:
    """Everything about notifications in the running gateway."""

    def __init__(self, desk: Desk, path: Path) -> None:
        """`path` is where the memory is kept."""
        self.settings = desk.station.notifications
        self.sender = Sender(desk.var)
        self._desk = desk
        self._path = path
        self._memory = Memory()
        self._news = asyncio.Event()
        self._link: BatteryLink | None = None
        desk.bus.subscribe(BATTERY_LINK, self._on_link)

    async def run(self) -> None:
        """Tell until cancelled; where nobody is to be told, do nothing."""
        if not self.settings.to:
            return
        self._load()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look(), name="gateway: what to notify of")
            for target in self.settings.to:
                tasks.create_task(self._deliver(target), name=f"gateway: notify {target}")

    def waiting(self, target: str) -> int:
        """How many messages wait for `target`."""
        return sum(one.target == target for one in self._memory.waiting)

    def _load(self) -> None:
        try:
            memory = kept.load(self._path)
        except (MemoryUnusable, OSError) as unusable:
            self._desk.bus.report(f"what was notified of is not known: {unusable}", remedy="it is begun anew; open events are told again")
            memory = Memory()
        # Begun before a crash: they may have gone out, and nothing is told twice.
        unsure = [one for one in memory.waiting if one.trying]
        if unsure:
            self._desk.bus.report(
                f"{len(unsure)} notification(s) were under way when the gateway stopped, and are not repeated", remedy="look at the page"
            )
        waiting = tuple(one for one in memory.waiting if not one.trying and one.target in self.settings.to)
        self._memory = memory.model_copy(update={"waiting": waiting})

    async def _look(self) -> None:
        desk = self._desk
        while True:
            await desk.bus.wait_connected()
            await desk.clock.sleep(SETTLE_S)
            while desk.bus.connected:
                self._look_once()
                await desk.clock.sleep(LOOK_EVERY_S)

    def _look_once(self) -> None:
        wall = utc_now()
        known = facts(self._desk.heard, self._desk.station, self._desk.chosen(), self._link, self._desk.moment())
        if known is None or wall < BUILT:
            return
        memory, messages = decide(self._memory, known, self._desk.station.zone, wall)
        waiting = [
            Waiting(key=one.key, kind=one.kind, title=one.title, body=one.body, made_at=wall, target=target)
            for one in self._wanted(messages)
            for target in self.settings.to
        ]
        self._keep(memory.model_copy(update={"waiting": (*memory.waiting, *waiting)[-MOST_WAITING:]}))
        if waiting:
            self._news.set()

    def _wanted(self, messages: tuple[Message, ...]) -> list[Message]:
        return [message for message in messages if self.settings.wants(message.kind)]

    async def _deliver(self, target: str) -> None:
        failures = 0
        while True:
            if (one := next((w for w in self._memory.waiting if w.target == target), None)) is None:
                self._news.clear()
                await self._news.wait()
                continue
            if utc_now() - one.made_at > GIVEN_UP:
                self._drop(one)
                self._desk.bus.report(f"a notification for {target} was given up after {GIVEN_UP.seconds // 3600} h: {one.title}")
                continue
            if await self._attempt(one):
                failures = 0
            else:
                await self._desk.clock.sleep(min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0**failures))
                failures += 1

    async def _attempt(self, one: Waiting) -> bool:
        trying = one.model_copy(update={"trying": True, "attempts": one.attempts + 1})
        if not self._replace(one, trying):
            return False
        try:
            await self._send(one)
        except DeliveryFailed as failed:
            self._desk.bus.report(f"a notification could not be delivered: {failed}", field=one.target, remedy="it is tried again")
            self._replace(trying, trying.model_copy(update={"trying": False}))
            return False
        self._drop(trying)
        return True

    async def _send(self, one: Waiting) -> None:
        """Send it once and wait for what becomes of it. Raises DeliveryFailed for what was certainly not taken."""
        try:
            await self.sender.send(one.target, f"{self._desk.station.station}: {one.title}", one.body, one.kind)
        except Undecided as hanging:
            self._desk.bus.report(
                f"a notification hangs: {hanging}", field=one.target, remedy="it is tried again only if it turns out not to be taken"
            )
            left = GIVEN_UP - (utc_now() - one.made_at)
            try:
                async with asyncio.timeout(max(left.total_seconds(), 0.0)):
                    failure = await asyncio.shield(hanging.outcome)
            except TimeoutError:
                return  # nobody would want it any more, and it may have been taken long ago
            if failure is not None:
                raise DeliveryFailed(failure) from None

    def _replace(self, old: Waiting, new: Waiting) -> bool:
        waiting = tuple(new if one is old else one for one in self._memory.waiting)
        return self._keep(self._memory.model_copy(update={"waiting": waiting}))

    def _drop(self, old: Waiting) -> None:
        """Let go of `old`, even where that cannot be kept: on disk it is under way or too old, so a restart does not send it either."""
        memory = self._memory.model_copy(update={"waiting": tuple(one for one in self._memory.waiting if one is not old)})
        if not self._keep(memory):
            self._memory = memory

    def _keep(self, memory: Memory) -> bool:
        """Keep `memory` if it is another; what cannot be kept is not told either, for it would be told again after a restart."""
        if memory == self._memory:
            return True
        try:
            kept.save(self._path, memory)
        except OSError as error:
            self._desk.bus.report(f"notifications wait: {self._path} cannot be written: {error.strerror}", remedy="make room on the disk")
            return False
        self._memory = memory
        return True

    def _on_link(self, received: Received[BatteryLink]) -> None:
        self._link = received.message
