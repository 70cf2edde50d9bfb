"""The power station's AC output between the bus and the driver: commands in, states out."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.bluetti_bridge import output as rules
from services.bluetti_bridge.errors import StationError
from services.bluetti_bridge.output import CONTROL, Wish
from services.bus.client import Bus, Received
from services.bus.clock import Clock
from services.bus.contract import RELAY_COMMAND, RELAY_STATE
from services.bus.messages.devices import RelayCommand, RelayStateMessage
from services.bus.state_file import read_state, write_atomic
from services.core.positions import Position

REPEAT_S = 60.0
_UNSAFE, _SAFE = b"unsafe", b"safe"

Set = Callable[[str, str], Awaitable[None]]
"""Write a control's value, by name, and read it back. Raises StationError."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    facts: tuple[object, ...]
    at: float


class Switching:
    """The keeper of the AC output."""

    def __init__(self, bus: Bus, clock: Clock, mark: Path, *, safe: bool) -> None:
        """`mark` is the file that says whether we left the output unsafe. Raises OSError when it cannot be read."""
        self._bus = bus
        self._clock = clock
        self._mark = mark
        self._output = rules.started(safe=safe, ours=read_state(mark) == _UNSAFE, now=clock.monotonic())
        self._told: _Told | None = None
        self.wake = asyncio.Event()
        """Set when a command came."""
        bus.subscribe(RELAY_COMMAND, self._command)

    @property
    def due(self) -> bool:
        """Whether there is something to set now."""
        return rules.due(self._output, self._clock.monotonic()) is not None

    @property
    def next_change(self) -> float | None:
        """When there may be although no command comes."""
        return rules.next_change(self._output, self._clock.monotonic())

    async def carry_out(self, write: Set) -> StationError | None:
        """Set what is due. The error, if there was one; it is tried again later."""
        on = rules.due(self._output, self._clock.monotonic())
        if on is None:
            return None
        before = self._output
        try:
            # First the mark: should this process die in between, the next one looks after the output.
            if on != before.safe:
                self._note(_UNSAFE)
            await write(CONTROL, "on" if on else "off")
        except StationError as error:
            self._output = rules.not_carried_out(self._output, on, str(error), self._clock.monotonic())
            self.tell()
            return error
        if before.wish is None or self._clock.monotonic() >= before.wish.until:
            log.warning("AC output set %s: nobody renews its command", "on" if on else "off")
        self._output = rules.carried_out(self._output, on)
        if on == before.safe:
            self._note(_SAFE)
        self.tell()
        return None

    async def let_go(self, write: Set) -> None:
        """Take the safe state, if we left another. For the end of the bridge; what fails is left to the next one."""
        if self._output.lapses_at is None:
            return
        try:
            await write(CONTROL, "on" if self._output.safe else "off")
        except StationError as error:
            log.error("the AC output was left %s: %s", "off" if self._output.safe else "on", error)  # noqa: TRY400 - the trace would say nothing
        else:
            self._note(_SAFE)

    def read(self, on: bool | None) -> None:
        """The power station said this of its output, or did not answer (None)."""
        self._output = rules.read(self._output, on)
        self.tell()

    def tell(self) -> None:
        """Publish the state if it is news; nothing while station time is unknown."""
        output, now = self._output, self._clock.monotonic()
        wish = output.wish
        command_id = wish.command_id if wish is not None and output.done == wish.command_id and output.on == wish.on else None
        facts = (output.on, command_id, output.fault)
        if not self._clock.known or (self._told is not None and self._told.facts == facts and now - self._told.at < REPEAT_S):
            return
        self._told = _Told(facts, now)
        state = RelayStateMessage(
            ts=self._clock.now(),
            on=output.on,
            confirmed_by=None if output.on is None else "readback",
            command_id=command_id,
            fault=output.fault,
        )
        self._bus.publish(RELAY_STATE, state, position=Position.P3.value)

    def _command(self, received: Received[RelayCommand]) -> None:
        if received.params["position"] != Position.P3.value:
            return
        command = received.message
        if (why := _misdated(command, self._clock)) is not None:
            remedy = "send commands as they arise, with the station's time"
            self._bus.report(f"command dropped: {why}", field="ts", value=str(command.ts), remedy=remedy, topic=received.topic)
            return
        self._output = rules.heard(self._output, Wish(command.on, command.command_id, received.received_at + command.hold_s))
        self.wake.set()

    def _note(self, mark: bytes) -> None:
        try:
            write_atomic(self._mark, mark)
        except OSError as error:
            self._bus.report(f"cannot note that the AC output is switched: {error}", remedy=f"make {self._mark.parent} writable")


def _misdated(command: RelayCommand, clock: Clock) -> str | None:
    """Why a command's time rules it out, in words; None when it does not."""
    if not clock.known:
        return "the station's time is not known yet, so its age cannot be told"
    now: datetime = clock.now()
    age_s = (now - command.ts).total_seconds() / clock.speed
    if abs(age_s) <= command.hold_s:
        return None
    return f"it is {age_s:.0f} s old, and holds for {command.hold_s:g} s" if age_s > 0 else f"it is from {-age_s:.0f} s in the future"
