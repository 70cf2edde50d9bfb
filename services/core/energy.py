"""Energy from power samples that are irregular and have gaps: unknown is not zero.

Between two samples no further apart than `max_gap_s` power runs straight from one to the other (the trapezoid
rule), also across the boundaries of an interval; time that no such pair spans is not covered, and adds nothing.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median

from services.core.positions import Position

Span = tuple[float, float]
"""From and to, in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Energy:
    """What was measured over an interval."""

    energy_wh: float | None
    """Over the covered time only; None when nothing is covered."""
    covered: float
    """Share of the interval for which power is known, 0 to 1."""

    def whole_wh(self, min_covered: float) -> float | None:
        """The whole interval's energy, the covered time taken as typical; None below `min_covered`."""
        return None if self.energy_wh is None or self.covered < min_covered else self.energy_wh / self.covered


UNKNOWN = Energy(None, 0.0)


@dataclass(frozen=True, slots=True)
class PowerSeries:
    """Known power samples in order of time. Build it with `of`."""

    times_s: Sequence[float]
    powers_w: Sequence[float]

    @classmethod
    def of(cls, samples: Iterable[tuple[float, float | None]]) -> "PowerSeries":
        """From (epoch seconds, watts) in any order; None is no sample; of two at the same time the last counts."""
        known = {time_s: power_w for time_s, power_w in samples if power_w is not None}
        times = sorted(known)
        return cls(array("d", times), array("d", (known[time_s] for time_s in times)))

    def spacing_s(self) -> float | None:
        """The usual time between two samples (the median of the first thousand); None with fewer than two."""
        return median(right - left for left, right in pairwise(self.times_s[:1001])) if len(self.times_s) > 1 else None

    def spans(self, start_s: float, end_s: float, max_gap_s: float) -> list[Span]:
        """The parts of the interval for which power is known."""
        times = self.times_s
        first = max(bisect_right(times, start_s) - 1, 0)
        last = min(bisect_left(times, end_s), len(times) - 1)
        found: list[Span] = []
        begin: float | None = None
        for i in range(first, last):
            left, right = times[i], times[i + 1]
            if right - left > max_gap_s:
                if begin is not None:
                    found.append((begin, left))
                    begin = None
            elif begin is None:
                begin = max(left, start_s)
        if begin is not None:
            found.append((begin, min(times[last], end_s)))
        return [span for span in found if span[0] < span[1]]

    def joules(self, span: Span) -> float:
        """The integral over a span that `spans` found, or a part of it."""
        times, powers = self.times_s, self.powers_w
        start_s, end_s = span
        total, time_s, power_w = 0.0, start_s, self._at(start_s)
        for i in range(bisect_right(times, start_s), bisect_left(times, end_s)):
            total += (power_w + powers[i]) * (times[i] - time_s)
            time_s, power_w = times[i], powers[i]
        return (total + (power_w + self._at(end_s)) * (end_s - time_s)) / 2

    def _at(self, time_s: float) -> float:
        i = bisect_left(self.times_s, time_s)
        if self.times_s[i] == time_s:
            return self.powers_w[i]
        left, right = self.times_s[i - 1], self.times_s[i]
        share = (time_s - left) / (right - left)
        return self.powers_w[i - 1] * (1 - share) + self.powers_w[i] * share


class Quantity(StrEnum):
    """A sum of positions that means something; see `TERMS`."""

    IMPORT = "import"
    """What the grid gives: P1 + P2."""
    LOAD = "load"
    """What the load takes: P1 + P3."""
    AVOIDED = "avoided"
    """What the battery gives to the load less what the grid gives to the battery: P3 - P2, signed."""


TERMS: Mapping[Quantity, tuple[tuple[Position, float], ...]] = {
    Quantity.IMPORT: ((Position.P1, 1.0), (Position.P2, 1.0)),
    Quantity.LOAD: ((Position.P1, 1.0), (Position.P3, 1.0)),
    Quantity.AVOIDED: ((Position.P3, 1.0), (Position.P2, -1.0)),
}


@dataclass(frozen=True, slots=True)
class Flows:
    """The samples of all positions over some time, and how far apart two of them may be."""

    series: Mapping[Position, PowerSeries]
    """A position without samples may be left out."""
    max_gap_s: float

    def energy(self, position: Position, start_s: float, end_s: float) -> Energy:
        """One position's energy."""
        return self._sum(((position, 1.0),), start_s, end_s)

    def quantity(self, quantity: Quantity, start_s: float, end_s: float) -> Energy:
        """A sum of positions, over the time in which every one of them is known."""
        return self._sum(TERMS[quantity], start_s, end_s)

    def covered(self, positions: Iterable[Position], start_s: float, end_s: float) -> float:
        """Share of the interval in which all of `positions` are known."""
        return _share(self._common(positions, start_s, end_s), start_s, end_s)

    def _sum(self, terms: Sequence[tuple[Position, float]], start_s: float, end_s: float) -> Energy:
        spans = self._common((position for position, _ in terms), start_s, end_s)
        if not spans:
            return UNKNOWN
        joules = sum(sign * self.series[position].joules(span) for position, sign in terms for span in spans)
        return Energy(joules / 3600, _share(spans, start_s, end_s))

    def _common(self, positions: Iterable[Position], start_s: float, end_s: float) -> list[Span]:
        if end_s <= start_s:
            raise ValueError(f"an interval must end after it starts, not at {end_s} after {start_s}")
        common = [(start_s, end_s)]
        for position in positions:
            if (series := self.series.get(position)) is None:
                return []
            common = _intersect(common, series.spans(start_s, end_s, self.max_gap_s))
        return common


def integrate(series: PowerSeries, start_s: float, end_s: float, *, max_gap_s: float) -> Energy:
    """The energy of one series over [start_s, end_s]. Raises ValueError for an empty interval."""
    return Flows({Position.P1: series}, max_gap_s).energy(Position.P1, start_s, end_s)


def _intersect(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        begin, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if begin < end:
            found.append((begin, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


def _share(spans: Iterable[Span], start_s: float, end_s: float) -> float:
    return min(sum(end - begin for begin, end in spans) / (end_s - start_s), 1.0)
