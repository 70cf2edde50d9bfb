"""Sends one event command over the bus and waits for what the controller makes of it."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path

from services.bus.client import Received
from services.bus.clock import SystemClock
from services.bus.contract import EVENT, EVENT_COMMAND, OPERATOR, SERVICE_ERROR
from services.bus.messages.events import EventCommand, EventMessage
from services.bus.messages.state import ServiceError
from services.bus.runtime import Context
from services.cli.admission import admitted
from services.cli.exits import CommandFailed
from services.cli.options import secrets_of
from services.core.config.station import Station

CONNECT_S = 5.0
RESEND_S = 5.0
"""An event is accepted when `event/<id>` appears, so the command is repeated until then; the controller takes it once."""

Accepted = Callable[[EventMessage, bool], bool]
"""Whether this event, retained by the broker or not, is the answer waited for."""


def send(station: Station, command: EventCommand, accepted: Accepted, *, wait_s: float) -> EventMessage:
    """Publish `command`, which must carry an id, and return the event that answers it.

    Raises CommandFailed with the controller's refusal, or when broker or controller do not answer within `wait_s` real seconds.
    """
    return asyncio.run(_send(station, command, accepted, wait_s))


async def _send(station: Station, command: EventCommand, accepted: Accepted, wait_s: float) -> EventMessage:
    answer: asyncio.Future[EventMessage] = asyncio.get_running_loop().create_future()

    def on_event(received: Received[EventMessage]) -> None:
        if received.message.id == command.id and accepted(received.message, received.retained) and not answer.done():
            answer.set_result(received.message)

    def on_error(received: Received[ServiceError]) -> None:
        error = received.message
        about_commands = error.topic is not None and error.topic.endswith(EVENT_COMMAND.pattern)
        if about_commands and received.params["service"] == "controller" and not answer.done():
            answer.set_exception(CommandFailed(f"the controller refused it: {_words(error)}"))

    context = Context(station, SystemClock(), Path(), random.Random(), secrets_of())  # noqa: S311 - jitter
    bus = context.bus("cli", user=OPERATOR, announce=False)
    bus.subscribe(EVENT, on_event)
    bus.subscribe(SERVICE_ERROR, on_error)
    async with bus:
        if not await admitted(bus, min(CONNECT_S, wait_s)):
            where = f"{station.broker.host}:{station.broker.port}"
            raise CommandFailed(f"no MQTT broker answers at {where}; start the station with `sps run`")
        resending = asyncio.create_task(_resend(bus.publish, command))
        try:
            async with asyncio.timeout(wait_s):
                return await answer
        except TimeoutError:
            raise CommandFailed(
                f"the controller did not answer within {wait_s:.0f} s; is `sps run` running as station '{station.station}'?"
            ) from None
        finally:
            resending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await resending


async def _resend(publish: Callable[..., None], command: EventCommand) -> None:
    while True:
        publish(EVENT_COMMAND, command)
        await asyncio.sleep(RESEND_S)


def _words(error: ServiceError) -> str:
    where = f"{error.field}{'' if error.value is None else f' ({error.value})'}" if error.field else ""
    return "; ".join(part for part in (error.message, where, error.remedy) if part)
