"""One relay: carries out what its dead-man decides, and tells the bus what the device says."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from services.bus.clock import Clock
from services.bus.messages.devices import RelayCommand
from services.core.config.hardware import RelayDevice
from services.relay_bridge import holds
from services.relay_bridge.contact import Contact
from services.relay_bridge.driver import RelayDriver
from services.relay_bridge.energy import Counted, count
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent, NotCarriedOut
from services.relay_bridge.lane import Lane
from services.relay_bridge.status import Status, word

FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 10.0
_CALLS_PER_LIMIT = 6
"""A command is two exchanges of at most three time-outs each (connect, first byte, rest)."""

Complain = Callable[[str, str, str | None, str | None], None]
"""Report a message with its remedy, and the field and value it is about."""

log = logging.getLogger(__name__)


class Relay:
    """The keeper of one position. `changed` is called after anything that may change its published state."""

    def __init__(
        self,
        position: str,
        device: RelayDevice,
        driver: RelayDriver,
        rules: holds.Rules,
        *,
        clock: Clock,
        jitter: random.Random,
        complain: Complain,
        changed: Callable[["Relay"], None],
        deadman_proved: bool | None = None,
        load: bool = False,
    ) -> None:
        self.position = position
        """The position's name, or the load's."""
        self.load = load
        """It switches a deferrable load, which has topics of its own."""
        self.deadman_proved = deadman_proved
        """Whether the device was once seen to flip back by itself; None where it has no timer, or nobody asks."""
        self.device = device
        """With the address where it answers."""
        self.rules = rules
        self.memory = holds.Memory()
        self.contact = Contact(jitter)
        self._driver = driver
        self._clock = clock
        self._jitter = jitter
        self._complain = complain
        self._changed = changed
        limit_s = _CALLS_PER_LIMIT * device.timeout_s
        # Two lanes, so that a command does not wait for the poll in flight.
        self._commands = Lane(f"{position}-commands", limit_s)
        self._polls = Lane(f"{position}-polls", limit_s)
        self._wake = asyncio.Event()
        self._boot_state_checked = False
        self._setting = False
        self._set_ended_at = float("-inf")
        self._energy: Counted | None = None
        self._failed: holds.Order | None = None
        self._failures = 0
        self._retry_at = 0.0

    @property
    def fault(self) -> str | None:
        """What is wrong, in words."""
        return self.contact.fault or holds.fault(self.memory, self.rules)

    def command(self, command: RelayCommand, received_at: float) -> None:
        """Take a wish, or drop it with a report when its time says that it is not meant for now."""
        if (why := misdated(command, self._clock)) is not None:
            self._complain(f"command dropped: {why}", "send commands as they arise, with the station's time", "ts", str(command.ts))
            return
        self.memory = holds.heard(self.memory, holds.Wish(command.on, command.command_id, command.hold_s, received_at))
        self._wake.set()

    async def keep(self) -> None:
        """Carry out whatever is due, as soon as it is due, until cancelled."""
        while True:
            now = self._clock.monotonic()
            order = holds.decide(self.memory, self.rules, now)
            if order is not None and (order != self._failed or now >= self._retry_at):
                await self._carry_out(order)
            else:
                await self._sleep(holds.next_change(self.memory, now), self._retry_at if order is not None else None)

    async def poll(self) -> Status | None:
        """What the device says now; None when it does not."""
        asked_at = self._clock.monotonic()
        try:
            await self._ensure_boot_state()
            status = await self._polls.call(self._driver.status)
        except DeviceError as error:
            self._lost_touch(error, unknown=False)
            return None
        self._answered()
        status = self._with_energy_counted(status)
        # What was asked before a command was carried out may be about the time before it.
        if not self._setting and asked_at > self._set_ended_at:
            before = self.fault
            self.memory = holds.polled(self.memory, self.rules, status, asked_at, self._clock.monotonic())
            self._tell_new_fault(before)
        self._changed(self)
        self._wake.set()
        return status

    async def let_go(self) -> None:
        """Take the safe state now, unless the device is known to stand in it. For the end of the service."""
        seen = self.memory.seen
        if not holds.ours_to_release(self.memory, self.rules):
            return
        if seen is None or seen.status.on != self.rules.safe or seen.status.timer_s is not None:
            await self._carry_out(holds.Order(self.rules.safe, None, None, "the bridge stops"))

    def close(self) -> None:
        """Release threads and connections."""
        self._commands.close()
        self._polls.close()
        self._driver.close()

    async def _carry_out(self, order: holds.Order) -> None:
        sent_at = self._clock.monotonic()
        self._setting = True
        try:
            status = await self._commands.call(partial(self._driver.set, on=order.on, timer_s=order.timer_s))
        except asyncio.CancelledError:
            # It may be carried out all the same: whoever lets go now must not rely on what was seen before.
            self.memory = holds.lost(self.memory)
            raise
        except DeviceRefused as error:
            self.memory = holds.refused(self.memory, order)
            self._put_off(order, error)
        except NotCarriedOut as error:
            if error.status is not None:
                self._answered()
                self.memory = holds.not_carried_out(self.memory, self.rules, order, error.status, sent_at, self._clock.monotonic())
            self._put_off(order, error)
        except DeviceError as error:
            self._lost_touch(error, unknown=True)
            self._put_off(order, error)
        else:
            self._answered()
            self._failed, self._failures = None, 0
            self.memory = holds.carried_out(self.memory, self.rules, order, status, sent_at, self._clock.monotonic())
            if order.wish is None:
                self._complain(f"set {word(order.on)}: {order.why}", "", None, None)
        finally:
            self._setting = False
            self._set_ended_at = self._clock.monotonic()
        self._changed(self)

    async def _ensure_boot_state(self) -> None:
        """Once per contact, since a device may have been reset or replaced while away. Raises DeviceSilent alone."""
        if self._boot_state_checked:
            return
        try:
            changed = await self._polls.call(partial(self._driver.ensure_boot_state, on=self.rules.safe))
        except DeviceSilent:
            raise
        except DeviceError as error:
            remedy = f"set the device to be {word(self.rules.safe)} after a power cut"
            self._complain(f"boot state not ensured: {error}", remedy, None, None)
        else:
            if changed:
                log.info("%s (%s): state after a power cut set to %s", self.position, self.device.address, word(self.rules.safe))
        self._boot_state_checked = True

    def _with_energy_counted(self, status: Status) -> Status:
        if status.energy_wh is None:
            return status
        # In a simulation energy flows as fast as station time.
        self._energy = count(self._energy, status.energy_wh, self._clock.monotonic() * self._clock.speed)
        return replace(status, energy_wh=self._energy.total_wh)

    def _answered(self) -> None:
        if self.contact.answered():
            log.info("%s (%s): answers again", self.position, self.device.address)
            self._failed = None

    def _lost_touch(self, error: DeviceError, *, unknown: bool) -> None:
        self.contact.failed(error, self._clock.now() if self._clock.known else None, unknown=unknown)
        if self.contact.lost:
            self.memory = holds.lost(self.memory)
            self._boot_state_checked = False
        self._complain_of(error)
        self._changed(self)

    def _put_off(self, order: holds.Order, error: DeviceError) -> None:
        """Try the same order again later; any other order is tried at once."""
        self._failures = self._failures + 1 if order == self._failed else 0
        self._failed = order
        wait_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures, 10)) * self._jitter.uniform(0.5, 1.0)
        self._retry_at = self._clock.monotonic() + wait_s
        if not isinstance(error, DeviceSilent | BadReply):
            self._complain_of(error)

    def _complain_of(self, error: DeviceError) -> None:
        field, value = (error.field, error.value) if isinstance(error, BadReply) else (None, None)
        self._complain(str(error), error.remedy, field, value)

    def _tell_new_fault(self, before: str | None) -> None:
        if (fault := holds.fault(self.memory, self.rules)) is not None and fault != before:
            self._complain(fault, "look after the device and what else may switch it", None, None)

    async def _sleep(self, *until: float | None) -> None:
        """Until woken, or until the first of the given times."""
        at = min((time for time in until if time is not None), default=None)
        timer = None
        if at is not None:
            timer = asyncio.get_running_loop().call_later(max(0.0, at - self._clock.monotonic()), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._wake.clear()


def misdated(command: RelayCommand, clock: Clock) -> str | None:
    """Why a command's time rules it out, in words; None when it does not."""
    if not clock.known:
        return "the station's time is not known yet, so its age cannot be told"
    now: datetime = clock.now()
    age_s = (now - command.ts).total_seconds() / clock.speed
    if age_s > command.hold_s:
        return f"it is {age_s:.0f} s old, and holds for {command.hold_s:g} s"
    if age_s < -command.hold_s:
        return f"it is from {-age_s:.0f} s in the future"
    return None
