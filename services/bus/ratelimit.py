"""Errors are told at once, and then seldom: a broken sender must not flood the bus or the log."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

INTERVAL_S = 10.0
CAPACITY = 256


@dataclass(slots=True)
class _Told:
    at: float
    suppressed: int = 0


class RateLimit:
    """At most one of a kind in each interval; the number of kinds remembered is bounded."""

    def __init__(self, *, interval_s: float = INTERVAL_S, capacity: int = CAPACITY) -> None:
        self._interval_s = interval_s
        self._capacity = capacity
        self._told: OrderedDict[Hashable, _Told] = OrderedDict()

    def tell(self, kind: Hashable, now: float) -> int | None:
        """None if this one is to be suppressed; else how many of its kind were since the last that was told."""
        told = self._told.pop(kind, None)
        if told is not None and now - told.at < self._interval_s:
            told.suppressed += 1
            self._told[kind] = told
            return None
        self._told[kind] = _Told(now)
        if len(self._told) > self._capacity:
            self._told.popitem(last=False)
        return told.suppressed if told is not None else 0
