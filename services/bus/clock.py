"""The two-faced clock: station time for what is decided, real time for what devices do (design section 4)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""No true clock can stand before this software was written: a board that says so has not had its time set yet."""

LATEST = BUILT.replace(year=BUILT.year + 40)
"""Nor is this software run then: it is a clock whose battery has died."""


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
    """Station time is the wall clock, unless it is known to be wrong: a board without a battery begins in the past."""

    def __init__(
        self,
        wall: Callable[[], datetime] = utc_now,
        *,
        not_before: datetime | None = None,
        synchronised: Callable[[], bool] = lambda: False,
    ) -> None:
        """`not_before`: when state was last written here. A clock that stands before that is believed only if `synchronised`."""
        self._wall = wall
        self._not_before = not_before
        self._synchronised = synchronised

    speed = 1.0

    @property
    def known(self) -> bool:
        """False on a board whose clock has not been set."""
        return self._doubt(self._wall()) is None

    def now(self) -> datetime:
        """Station time. Raises ClockUnknown."""
        now = self._wall()
        if (doubt := self._doubt(now)) is not None:
            raise ClockUnknown(doubt)
        return now

    @property
    def missing(self) -> str:
        """What is waited for while the clock is not known, for a person."""
        return self._doubt(self._wall()) or "nothing"

    def _doubt(self, now: datetime) -> str | None:
        if not BUILT <= now < LATEST:
            return f"the system clock to be set: it says {now:%Y-%m-%d}; is time synchronisation running?"
        if self._not_before is not None:
            if now < self._not_before and not self._synchronised():
                return (
                    f"the system clock to be set: it says {now:%Y-%m-%d %H:%M} UTC, but state was written here at"
                    f" {self._not_before:%Y-%m-%d %H:%M}; is time synchronisation running? If the clock is right, touch the files under var"
                )
            # From here on a step back is the time server's work, and the controller's to live with.
            self._not_before = None
        return None

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
