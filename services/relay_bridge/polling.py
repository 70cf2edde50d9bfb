"""Polling all relays in step, so that readings of one moment carry one time."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import floor, inf
from typing import NamedTuple

from services.bus.client import Bus
from services.bus.clock import Clock
from services.bus.contract import LOAD_READING, POSITION_READING
from services.bus.messages.devices import PositionReading
from services.relay_bridge.relay import Relay
from services.relay_bridge.status import Status

GRACE_S = 0.2
"""How long the readings of a round wait for the slowest device; what comes later carries its own time."""
HURRIED_GAP_S = 0.05
"""At least so long between two polls that a device asked for by telling of changes."""

log = logging.getLogger(__name__)


class Reply(NamedTuple):
    """What a device said, and the station time then."""

    relay: Relay
    status: Status
    ts: datetime


class Polling:
    """The rounds of polls. A device still busy with its last poll is left out of a round."""

    def __init__(self, relays: Sequence[Relay], bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._origin = clock.monotonic()
        self._due_at = dict.fromkeys(relays, self._origin)
        self._hurried: set[Relay] = set()
        self._wake = asyncio.Event()

    def hurry(self, relay: Relay) -> None:
        """Poll `relay` now, beside its rounds; once more if it is being polled just now, for that may have been asked too early."""
        self._hurried.add(relay)
        self._wake.set()

    async def run(self) -> None:
        """One round after the other, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                now = self._clock.monotonic()
                for relay in [relay for relay in self._hurried if self._due_at[relay] != inf]:
                    self._hurried.remove(relay)
                    self._due_at[relay] = now
                if due := [relay for relay, due_at in self._due_at.items() if due_at <= now]:
                    tasks = [group.create_task(self._poll(relay)) for relay in due]
                    done, late = await asyncio.wait(tasks, timeout=GRACE_S)
                    self._publish(reply for task in done if (reply := task.result()) is not None)
                    for task in late:
                        task.add_done_callback(self._publish_late)
                next_at = min(*self._due_at.values(), self._clock.monotonic() + 1.0)
                await self._sleep(max(0.0, next_at - self._clock.monotonic()))

    async def _sleep(self, seconds: float) -> None:
        """For so long, or until a relay is in a hurry."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _poll(self, relay: Relay) -> Reply | None:
        self._due_at[relay] = inf
        try:
            status = await relay.poll()
        except Exception:
            log.exception("%s: the poll failed in a way that is a fault of this software", relay.position)
            status = None
        self._due_at[relay] = self._next(relay)
        if relay in self._hurried:
            asyncio.get_running_loop().call_later(HURRIED_GAP_S, self._wake.set)
        return Reply(relay, status, self._clock.now()) if status is not None and self._clock.known else None

    def _next(self, relay: Relay) -> float:
        """The end of the device's back-off, or else the next tick that all devices with the same period share."""
        poll_s = relay.device.poll_s
        now = self._clock.monotonic()
        ticks = floor((now + relay.contact.wait_s(poll_s) - poll_s - self._origin) / poll_s) + 1
        return self._origin + ticks * poll_s

    def _publish(self, replies: Iterable[Reply]) -> None:
        known = list(replies)
        # The recorder folds equal times into one row.
        ts = max((reply.ts for reply in known), default=None)
        for relay, status, _ in known if ts else ():
            reading = PositionReading(
                ts=ts,
                power_w=status.power_w,
                voltage_v=status.voltage_v,
                current_a=status.current_a,
                energy_wh=status.energy_wh,
                device=f"{relay.device.driver} {relay.device.address}",
            )
            if relay.load:
                self._bus.publish(LOAD_READING, reading, load=relay.position)
            else:
                self._bus.publish(POSITION_READING, reading, position=relay.position)

    def _publish_late(self, task: asyncio.Task[Reply | None]) -> None:
        if not task.cancelled() and (reply := task.result()) is not None:
            self._publish([reply])
