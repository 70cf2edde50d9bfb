"""A 90 % interval from a home's own residuals, which keeps its word when the home changes.

Split conformal prediction on walk-forward residuals, in units of how uncertain each hour looked beforehand (Lei et al. 2018), with one
quantile for each side because loads are skewed. Each tail's share is steered by its own hits and misses (adaptive conformal inference,
Gibbs and Candès 2021).
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

TAIL = 0.05
"""The share of hours that may lie beyond each end."""
REMEMBERED_DAYS = 150
FEWEST_DAYS = 40
"""Below this no interval is given: tails of one in twenty cannot be seen in fewer."""
STEERING = 0.03
NARROWEST, WIDEST = 0.005, 0.2


class Said(NamedTuple):
    """What was estimated, and what came."""

    estimate_wh: float
    actual_wh: float
    scale_wh: float


class Band:
    """Learns a day at a time; says how far the truth may lie from an estimate."""

    def __init__(self) -> None:
        self._days: deque[tuple[float, ...]] = deque(maxlen=REMEMBERED_DAYS)
        self._low_tail = self._high_tail = TAIL

    def heard(self, day: Sequence[Said]) -> None:
        """A day came true: first the interval is held to account for it, then it is learnt."""
        if (ends := self._ends()) is not None:
            low, high = ends
            below = sum(one.actual_wh < one.estimate_wh + low * one.scale_wh for one in day if one.estimate_wh + low * one.scale_wh > 0)
            above = sum(one.actual_wh > one.estimate_wh + high * one.scale_wh for one in day)
            self._low_tail = _steered(self._low_tail, below / len(day))
            self._high_tail = _steered(self._high_tail, above / len(day))
        self._days.append(tuple((one.actual_wh - one.estimate_wh) / one.scale_wh for one in day))

    def around(self, estimate_wh: float, scale_wh: float) -> tuple[float, float] | None:
        """From and to, never below nothing; None before there are enough days to know."""
        if (ends := self._ends()) is None:
            return None
        return max(0.0, estimate_wh + ends[0] * scale_wh), max(0.0, estimate_wh + ends[1] * scale_wh)

    def _ends(self) -> tuple[float, float] | None:
        if len(self._days) < FEWEST_DAYS:
            return None
        residuals = sorted(residual for day in self._days for residual in day)
        # The (n + 1)-th residual is the one to come: conformal prediction's correction for a finite past.
        count = len(residuals)
        low = residuals[max(0, int(self._low_tail * (count + 1)) - 1)]
        high = residuals[min(count - 1, count - int(self._high_tail * (count + 1)))]
        return min(low, 0.0), max(high, 0.0)


def _steered(tail: float, missed: float) -> float:
    return min(WIDEST, max(NARROWEST, tail + STEERING * (TAIL - missed)))
