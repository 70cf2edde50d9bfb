"""The two-faced clock: station time for what is decided, real time for what devices do (design section 4)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""No true clock can stand before this software was written: a board that says so has not had its time set yet."""


class ClockUnknown(RuntimeError):
    """Station time was asked for before it is known."""


class Clock(Protocol):
    """Passed to whoever needs the time; nobody asks the system."""

    @property
    def speed(self) -> float:
        """Station seconds per real second."""
        ...

    @property
    def known(self) -> bool:
        """False while the clock is known to be wrong: nothing may be decided or recorded."""
        ...

    def now(self) -> datetime:
        """Station time, aware UTC: schedules, dwell, energy. Raises ClockUnknown."""
        ...

    def monotonic(self) -> float:
        """Real seconds, never scaled: timers, holds, freshness, polling, time-outs, back-off."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for real seconds."""
        ...


def utc_now() -> datetime:
    """The wall clock. For the clocks below, the simulator that makes the time, and the bus until station time is known."""
    return datetime.now(UTC)


class SystemClock:
    """Station time is the wall clock."""

    def __init__(self, wall: Callable[[], datetime] = utc_now) -> None:
        self._wall = wall

    speed = 1.0

    @property
    def known(self) -> bool:
        """False on a board whose clock has not been set."""
        return self._wall() >= BUILT

    def now(self) -> datetime:
        """Station time. Raises ClockUnknown."""
        now = self._wall()
        if now < BUILT:
            raise ClockUnknown(f"the system clock says {now:%Y-%m-%d}; waiting for it to be set")
        return now

    def monotonic(self) -> float:
        """Real seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for real seconds."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Rate:
    """How station time follows the wall clock."""

    epoch_wall: datetime
    epoch_station: datetime
    speed: float

    def at(self, wall: datetime) -> datetime:
        """Station time at `wall`."""
        return self.epoch_station + timedelta(seconds=(wall - self.epoch_wall).total_seconds() * self.speed)


class FollowedClock:
    """Station time as the simulator publishes it on `clock`; unknown until it has been heard."""

    def __init__(self, wall: Callable[[], datetime] = utc_now) -> None:
        self._wall = wall
        self._rate: Rate | None = None

    @property
    def speed(self) -> float:
        """Station seconds per real second; 1 until heard."""
        return self._rate.speed if self._rate else 1.0

    @property
    def known(self) -> bool:
        """Whether the simulator has been heard."""
        return self._rate is not None

    def follow(self, rate: Rate) -> None:
        """Take `rate` as the truth from now on."""
        self._rate = rate

    def now(self) -> datetime:
        """Station time. Raises ClockUnknown."""
        if self._rate is None:
            raise ClockUnknown("the simulator has not published its clock yet")
        return self._rate.at(self._wall())

    def monotonic(self) -> float:
        """Real seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for real seconds."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that a test or a backtest moves by hand."""

    def __init__(self, now: datetime, *, speed: float = 1.0) -> None:
        self._now = now
        self._monotonic = 0.0
        self.speed = speed
        self.known = True

    def advance(self, real_s: float) -> None:
        """Let `real_s` real seconds, and `speed` times as many station seconds, pass."""
        self._monotonic += real_s
        self._now += timedelta(seconds=real_s * self.speed)

    def step(self, by: timedelta) -> None:
        """Step station time alone, as a time server would."""
        self._now += by

    def now(self) -> datetime:
        """Station time."""
        return self._now

    def monotonic(self) -> float:
        """Real seconds."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.advance(seconds)
        await asyncio.sleep(0)
