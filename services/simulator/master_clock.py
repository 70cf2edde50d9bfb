"""The clock that makes station time: all others follow it."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from services.bus.clock import Rate, utc_now

_DRIFT_S = 0.1
"""How far the wall clock may stray from the monotonic one before the rate is anchored anew."""


def to_millisecond(wall: datetime) -> datetime:
    """`wall` as exactly as it travels on the bus, so that a follower's clock is not off by `speed` times the rest."""
    return wall.replace(microsecond=wall.microsecond // 1000 * 1000)


class MasterClock:
    """Station time by the monotonic clock, so that it never jumps or goes back, whatever is done to the wall clock."""

    known = True

    def __init__(self, rate: Rate, wall: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._wall = wall
        self._monotonic = monotonic
        self._started = monotonic()
        self._started_at = rate.at(wall())

    @property
    def speed(self) -> float:
        """Station seconds per real second."""
        return self._rate.speed

    def now(self) -> datetime:
        """Station time."""
        return self._started_at + timedelta(seconds=(self._monotonic() - self._started) * self.speed)

    def rate(self) -> Rate:
        """How followers get station time from the wall clock. The same again and again, unless the wall clock was set."""
        wall, now = to_millisecond(self._wall()), self.now()
        if abs(self._rate.at(wall) - now) > timedelta(seconds=_DRIFT_S * self.speed):
            self._rate = Rate(wall, now, self.speed)
        return self._rate

    def monotonic(self) -> float:
        """Real seconds."""
        return self._monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for real seconds."""
        await asyncio.sleep(seconds)
