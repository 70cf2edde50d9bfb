"""Two controllers on one station: one is in charge, the other stands by, says so, and takes over when the first is gone."""

import logging
import os
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.bus import contract
from services.bus.client import Bus, Received
from services.bus.messages.events import EventMessage
from services.bus.messages.state import ControllerState, ServiceStatus
from services.bus.runtime import Context
from services.core.event_book import Book
from services.core.events import Event, EventStatus

LOOK_S = 0.3
"""So long after connecting, what the broker retains has come in."""
FIRST_LOOK_S = 7.0
"""A controller in charge says so every 5 s. At the start a silence of so long means that there is none."""
GONE_S = 15.0
"""When one has been heard and falls silent for so long, it is gone. The relay bridge holds its last wish for twice as long."""
STANDBY = "controller-standby"
"""A name of its own on the bus, which all share that stand by: under the same one they would push each other off the broker."""
TURN_S = 3.0
"""Several that stand by find the one in charge gone at the same moment: each lets a random part of so long pass, and looks again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Charge:
    """Who is in charge, and since when (station time); None: not yet."""

    instance: str
    since: datetime | None = None

    def meets(self, state: ControllerState, *, retained: bool) -> bool:
        """Whether `state` is of another controller that outranks us.

        Of two the one in charge for longer stays, so that both sides choose the same. One that does not say who it is cannot know of us,
        and stays. What the broker retained counts only if it was said after we began: two clients of one name never hear each other live.
        """
        if self.since is None or state.instance == self.instance or (retained and state.ts <= self.since):
            return False
        if state.instance is None or state.in_charge_since is None:
            return True
        # On the wire times have milliseconds.
        mine = self.since.replace(microsecond=self.since.microsecond // 1000 * 1000)
        return (state.in_charge_since, state.instance) < (mine, self.instance)


def new_instance() -> str:
    """A name for this process that a person can find: host, process, and something that no two share."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:32]
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


class Superseded(Exception):
    """Another controller is in charge."""


@dataclass(slots=True)
class Watch:
    """What is heard of other controllers, by real seconds, and of the events that they have accepted."""

    instance: str
    heard_at: float | None = None
    """When another one was last heard alive."""
    name: str = ""
    claimed: bool = False
    """The bus says that a controller is online."""
    events: dict[str, Event] = field(default_factory=dict)

    def state(self, received: Received[ControllerState]) -> None:
        """Take a controller's state; a retained one may be of any age."""
        if not received.retained and received.message.instance != self.instance:
            self.heard_at, self.name = received.received_at, received.message.instance or "of an older version"

    def status(self, received: Received[ServiceStatus]) -> None:
        """Take a service's status."""
        if received.params["service"] == "controller":
            self.claimed = received.message.state == "online"
            if self.claimed and not received.retained:
                # One that has just come, or taken over, is heard before it has decided anything.
                self.heard_at, self.name = received.received_at, self.name or "that has just started"

    def event(self, received: Received[EventMessage]) -> None:
        """Take an event, to go on with it should we take over."""
        self.events[received.message.id] = _event(received.message)

    def event_gone(self, params: Mapping[str, str]) -> None:
        """An event was archived."""
        self.events.pop(params["event_id"], None)

    def silent_s(self, now_s: float) -> float:
        """For how long none has been heard, once one was."""
        return now_s - self.heard_at if self.heard_at is not None else 0.0

    def alone(self, now_s: float, since_s: float) -> bool:
        """Whether nobody else is in charge, for somebody who has listened since `since_s`."""
        if self.heard_at is not None:
            return now_s - self.heard_at >= GONE_S
        return not self.claimed or now_s - since_s >= FIRST_LOOK_S


def newer(event: Event, known: Event) -> bool:
    """Whether `event`, heard on the bus, is newer than what we know of it."""
    if event.revision != known.revision:
        return event.revision > known.revision
    answered = known.status is EventStatus.PENDING and event.status is not EventStatus.PENDING
    return answered or (known.is_open and not event.is_open)


def _event(message: EventMessage) -> Event:
    return Event(
        id=message.id,
        revision=message.revision,
        start=message.start,
        end=message.end,
        goal=message.goal.goal(),
        methods=message.methods,
        priority=message.priority,
        status=message.status,
        status_reason=message.status_reason,
        test=message.test,
        changed_at=message.ts,
        answer_by=message.answer_by,
        unanswered=message.unanswered,
        flags=message.flags,
    )


def _listen(bus: Bus, watch: Watch) -> None:
    bus.subscribe(contract.CONTROLLER_STATE, watch.state)
    bus.subscribe(contract.SERVICE_STATUS, watch.status)
    bus.subscribe(contract.EVENT, watch.event, cleared=watch.event_gone)


async def wait_turn(context: Context, instance: str, outranked_by: str | None = None) -> Book:
    """Return once no other controller is in charge, with the events that were accepted by then. Passive, and saying so, until then.

    `outranked_by` is one that we have just stood back for. It may be off the broker for a moment, pushed off by us under the name that
    both have there: a glance would find nobody, and both would push each other off again, and again.
    """
    watch = Watch(instance)
    clock = context.clock
    if outranked_by is None:
        await _look(context, watch)
        if watch.heard_at is None:
            return Book(events=watch.events)
    else:
        watch.heard_at, watch.name = clock.monotonic(), outranked_by
    log.warning("another controller (%s) is in charge: standing by", watch.name)
    await _stand_by(context, instance, watch)
    log.warning("the controller %s is gone: taking over", watch.name)
    return Book(events=watch.events)


async def _look(context: Context, watch: Watch) -> None:
    """Return once another controller was heard, or there is none."""
    clock = context.clock
    async with context.bus(STANDBY, user="controller", announce=False) as bus:
        _listen(bus, watch)
        await bus.wait_connected()
        await clock.sleep(LOOK_S)
        since_s = clock.monotonic()
        while watch.heard_at is None and not watch.alone(clock.monotonic(), since_s):
            await clock.sleep(0.05)


async def _stand_by(context: Context, instance: str, watch: Watch) -> None:
    """Return once the controllers that were heard have been silent for long enough."""
    clock, leaving = context.clock, False

    def say_again(received: Received[ServiceStatus]) -> None:
        # Another one that stood by has left: its farewell would stand for all of that name.
        if received.params["service"] == STANDBY and received.message.state == "offline" and not leaving:
            bus.announce()

    async with context.bus(STANDBY, user="controller", alone=False) as bus:
        _listen(bus, watch)
        bus.subscribe(contract.SERVICE_STATUS, say_again)
        patience_s = GONE_S + context.random.uniform(0.0, TURN_S)
        try:
            while not bus.connected or watch.silent_s(clock.monotonic()) < patience_s:
                bus.health(f"another controller ({watch.name}) is in charge; this one ({instance}) stands by")
                await clock.sleep(0.1)
                if not bus.connected:
                    # Deaf is not alone: silence counts anew from when it hears again.
                    watch.heard_at = clock.monotonic()
        finally:
            leaving = True
