"""When to ask a power station again. Pure, but for the memory of its own attempts."""

import random
from collections import deque

from services.bluetti_bridge.driver import Manners

_HOUR_S = 3600.0


class Pace:
    """The polling of one power station. Times are real and monotonic, in seconds."""

    def __init__(self, poll_s: float, manners: Manners, jitter: random.Random) -> None:
        self._poll_s = poll_s
        self._manners = manners
        self._jitter = jitter
        self._began: deque[float] = deque()
        self._due: float | None = None

    def began(self, now: float) -> None:
        """An attempt begins."""
        self._began.append(now)
        while self._began[0] <= now - _HOUR_S:
            self._began.popleft()

    def next_at(self, now: float, failures: int) -> float:
        """When the next attempt is due, after `failures` in a row: in step with the polling period, later if it ought to be spared."""
        due = now if self._due is None else max(self._due, now - self._poll_s)
        self._due = due + wait_s(self._poll_s, failures, self._manners.longest_wait_s, self._jitter)
        ceiling = self._manners.connections_per_hour
        if ceiling is not None and len(self._began) >= ceiling:
            self._due = max(self._due, self._began[-ceiling] + _HOUR_S)
        return self._due


def wait_s(poll_s: float, failures: int, longest_s: float, jitter: random.Random) -> float:
    """Real seconds until the next poll: doubling with each failure after the first, and never in step with other clients."""
    if failures < 2:
        return poll_s
    return max(poll_s, min(longest_s, poll_s * 2.0 ** min(failures - 1, 10)) * jitter.uniform(0.5, 1.0))
