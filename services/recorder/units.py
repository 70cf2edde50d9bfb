"""Suspects readings that come in another unit: a thousand times too much or too little. Nothing is mended, only said."""

from collections import deque
from statistics import median

FACTOR = 1000.0
SLACK = 2.5
"""A load varies: from so much less to so much more than a thousandfold is suspected."""
USUAL = 60
"""Readings from which the usual magnitude is known."""
LEAST_KNOWN = 20
CONVINCED = 10
"""So many in a row must be off before it is said."""


class UnitWatch:
    """Follows the magnitude of one quantity from one device."""

    def __init__(self) -> None:
        self._usual: deque[float] = deque(maxlen=USUAL)
        self._off = 0
        self._said = False

    def suspect(self, value: float) -> str | None:
        """What to tell of a reading, once for each time that it begins: `1000 times what was usual (93.4)`; else None.

        Zero says nothing of its unit.
        """
        if value == 0:
            return None
        size = abs(value)
        usual = median(self._usual) if len(self._usual) >= LEAST_KNOWN else None
        if usual is None or not _a_thousandfold(max(size, usual) / min(size, usual)):
            self._usual.append(size)
            self._off = 0
            self._said = False
            return None
        self._off += 1
        if self._off < CONVINCED or self._said:
            return None
        self._said = True
        return f"about {'1000 times' if size > usual else 'a thousandth of'} what was usual ({usual:g})"


def of_one_reading(power_w: float | None, voltage_v: float | None, current_a: float | None) -> str | None:
    """What one reading says against itself: its power against voltage times current; None if it is in order, or cannot tell."""
    if power_w is None or voltage_v is None or current_a is None:
        return None
    apparent_va, power = abs(voltage_v * current_a), abs(power_w)
    if apparent_va < 1 or power == 0:
        return None
    if power > apparent_va * FACTOR / SLACK:
        return f"about 1000 times voltage times current ({apparent_va:g} VA)"
    return None


def _a_thousandfold(ratio: float) -> bool:
    return FACTOR / SLACK <= ratio <= FACTOR * SLACK
