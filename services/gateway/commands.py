"""Event commands from people: sent over the bus, and answered by what the controller makes of them."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from services.bus.client import Bus, Received
from services.bus.clock import Clock
from services.bus.contract import EVENT, EVENT_COMMAND, SERVICE_ERROR
from services.bus.messages.events import EventCommand, EventMessage
from services.bus.messages.state import ServiceError
from services.core.config.station import Station
from services.core.events import OPEN_STATUSES, BadValue, EventStatus, normalise
from services.core.preferences import Preferences
from services.gateway.heard import Heard
from services.gateway.problems import ApiError, Problem

ANSWER_WITHIN_S = 3.0
"""Real seconds. The controller answers within its cycle of one second, once the event is on disk."""
MAX_WAITING = 8


@dataclass(frozen=True, slots=True)
class _Pending:
    command: EventCommand
    answer: asyncio.Future[EventMessage | Problem]


class CommandDesk:
    """Sends commands one by one, so that a refusal, which names no event, is known to be this one's."""

    def __init__(self, bus: Bus, heard: Heard, station: Station, clock: Clock, preferences: Callable[[], Preferences]) -> None:
        self._bus = bus
        self._heard = heard
        self._station = station
        self._clock = clock
        self._preferences = preferences
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._serial = count(1)
        self._pending: _Pending | None = None
        bus.subscribe(EVENT, self._on_event)
        bus.subscribe(SERVICE_ERROR, self._on_error)

    async def send(self, command: EventCommand) -> tuple[str, EventMessage | None]:
        """The event's id and, if the controller answered in time, the event.

        Raises ApiError: 404 and 409 for an event that is not there or not in a state for this, 422 for what is refused,
        503 while the station cannot be reached.
        """
        if self._waiting >= MAX_WAITING:
            raise ApiError(503, Problem(message="too many commands are waiting for their answer", remedy="try again in a few seconds"))
        self._waiting += 1
        try:
            async with self._turn:
                return await self._send(self._prepared(command))
        finally:
            self._waiting -= 1

    def _prepared(self, command: EventCommand) -> EventCommand:
        """The command as it goes out, refused here if its fate is already certain: an answer at once is a better one."""
        if not self._bus.connected:
            raise ApiError(503, Problem(message="the station's message broker does not answer", remedy="nothing was sent; try again"))
        if not self._clock.known:
            raise ApiError(503, Problem(message="station time is not known yet", remedy="nothing was sent; try again in a few seconds"))
        known = self._heard.events.get(command.id) if command.id is not None else None
        if (why := conflict(command, known)) is not None:
            raise ApiError(409 if known else 404, why)
        if command.action != "schedule":
            # To opt out, in and out again within a minute is three commands; with identical bytes it would count as two.
            return command.model_copy(update={"revision": next(self._serial)})
        now = self._clock.now()
        try:
            if known is None:
                normalise(command.request(), self._preferences(), now, self._station.zone)
        except BadValue as bad:
            raise ApiError(422, Problem.of(bad)) from None
        return command if command.id else command.model_copy(update={"id": f"{now:%Y%m%d-%H%M}-{secrets.token_hex(3)}"})

    async def _send(self, command: EventCommand) -> tuple[str, EventMessage | None]:
        pending = _Pending(command, asyncio.get_running_loop().create_future())
        self._pending = pending
        self._bus.publish(EVENT_COMMAND, command)
        answer: EventMessage | Problem | None = None
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    answer = await pending.answer
        finally:
            self._pending = None
        if isinstance(answer, Problem):
            raise ApiError(422, answer)
        return command.id or "", answer

    def _on_event(self, received: Received[EventMessage]) -> None:
        pending, event = self._pending, received.message
        if (
            pending is None
            or pending.answer.done()
            or received.params["event_id"] != pending.command.id
            or not answers(pending.command, event)
        ):
            return
        if event.status is EventStatus.REFUSED:
            pending.answer.set_result(Problem(message=event.status_reason or "the event was refused"))
        else:
            pending.answer.set_result(event)

    def _on_error(self, received: Received[ServiceError]) -> None:
        pending, error = self._pending, received.message
        if pending is None or pending.answer.done() or received.params["service"] != EVENT.publisher:
            return
        if error.topic is None or not error.topic.endswith(EVENT_COMMAND.pattern):
            return
        pending.answer.set_result(Problem(message=error.message, field=error.field, value=error.value, remedy=error.remedy))


def answers(command: EventCommand, event: EventMessage) -> bool:
    """Whether `event`, newly published under the command's id, shows that the command was carried out or refused."""
    is_open = event.status in OPEN_STATUSES
    joined = is_open and event.status is not EventStatus.PENDING
    return {"schedule": event.revision >= command.revision, "opt_in": joined, "accept": joined}.get(command.action, not is_open)


def conflict(command: EventCommand, known: EventMessage | None) -> Problem | None:
    """Why the command cannot do anything, given the event of its id as it stands; None if it can."""
    if command.action == "schedule":
        if known is None or known.status is EventStatus.REFUSED:
            return None
        if known.status not in OPEN_STATUSES:
            return _about(known, f"event {known.id} is already {_words(known.status)}", "leave out the id to schedule a new one")
        if command.revision <= known.revision:
            remedy = f"send revision {known.revision + 1} to amend it, or leave out the id to schedule a new one"
            return _about(known, f"event {known.id} exists already, with revision {known.revision}", remedy)
        return None
    if known is None:
        return Problem(message="there is no such event", field="id", value=command.id, remedy="GET /api/events lists the known ones")
    if command.action in ("opt_in", "accept"):
        if known.status in (EventStatus.OPTED_OUT, EventStatus.PENDING):
            return None
        remedy = "only an event that asks, or that was opted out of, can be taken up"
        return _about(known, f"event {known.id} is {_words(known.status)}", remedy)
    if known.status in OPEN_STATUSES:
        return None
    return _about(known, f"event {known.id} is already {_words(known.status)}", "there is nothing left to stop")


def _about(known: EventMessage, message: str, remedy: str) -> Problem:
    return Problem(message=message, field="id", value=known.id, remedy=remedy)


def _words(status: EventStatus) -> str:
    return status.value.replace("_", " ")
