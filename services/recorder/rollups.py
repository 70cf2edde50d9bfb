"""What is kept of readings for ever: a row a minute, a quarter of an hour, an hour. Pure.

Energy is the integral of power as `services.core.energy` defines it, in whole joules; beside each stands for how long
power was not known, for unknown is not zero. To a joule, a quarter is the sum of its minutes, and an hour of its quarters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.core.energy import Energy, Flows, PowerSeries, Quantity
from services.core.positions import Position
from services.recorder.columns import NAMES

MINUTE_S = 60
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Level:
    """A table of rollups. Its key counts steps of `width_s` since the epoch."""

    table: str
    width_s: int


MINUTE, QUARTER, HOUR = LEVELS = (Level("minute", MINUTE_S), Level("quarter", 900), Level("hour", HOUR_S))
"""Finest first."""

QUANTITIES = (Quantity.IMPORT, Quantity.LOAD, Quantity.AVOIDED)
FLOWS = (*Position, *QUANTITIES)
"""What has energy: the positions, and sums of them over the time in which every one of them is known."""
METERED = "metered"
"""Stands for the time in which P1, P2 and P3 are all known."""
ENERGIES = tuple(column for flow in FLOWS for column in (f"{flow}_j", f"{flow}_lack_ms"))
"""`*_lack_ms` is for how long it is not known. Both are null if it was not known at all."""
COUNTERS = tuple(name for name in NAMES if name.endswith("_wh"))
MEANS = tuple(name for name in NAMES if not name.endswith("_wh") and name not in {f"{position}_w" for position in Position})
"""Means over the readings, as scaled as in `reading`; of the running counters the highest is kept."""
ROLLED = (*ENERGIES, f"{METERED}_lack_ms", *MEANS, *COUNTERS)
"""The columns of each of the tables, after the key."""

SUMMED = (*(column for flow in FLOWS for column in (f"{flow}_j", f"{flow}_known_ms")), f"{METERED}_known_ms")
"""What a longer time comes to: energy, and for how long it is known. Null if not at all."""

RolledRow = tuple[int | None, ...]
"""In the order of `ROLLED`."""
POWER_COLUMNS: Mapping[str, str] = {f"{position}_w": f"{position}_j" for position in Position}
"""The columns of readings that are rolled up as energy, and so have another name there."""
Others = Sequence[int | None]
"""Means and highest counters of a minute, in the order of `MEANS` and `COUNTERS`."""
_METERED = (Position.P1, Position.P2, Position.P3)


@dataclass(slots=True)
class _Sum:
    """Energy so far, and for how long it was known."""

    joules: float = 0.0
    known_s: float = 0.0

    def add(self, other: "_Sum") -> None:
        self.joules += other.joules
        self.known_s += other.known_s


def roll_hour(hour: int, flows: Flows, others: Mapping[int, Others]) -> dict[Level, dict[int, RolledRow]]:
    """The rows of an hour (counted since the epoch), by level and key. Where nothing was read there is no row.

    `others` holds what is known besides power, by minute.
    """
    minutes = _minutes(hour * HOUR_S, flows)
    found: dict[Level, dict[int, RolledRow]] = {}
    for level in LEVELS:
        length = level.width_s // MINUTE_S
        first_minute = hour * HOUR_S // MINUTE_S
        rows = {}
        for begin in range(0, 60, length):
            sums = {name: _Sum() for name in (*FLOWS, METERED)}
            for minute in minutes[begin : begin + length]:
                for name, part in minute.items():
                    sums[name].add(part)
            rest = [others[m] for m in range(first_minute + begin, first_minute + begin + length) if m in others]
            row = _row(sums, rest, level.width_s)
            if any(value is not None for value in row):
                rows[(first_minute + begin) * MINUTE_S // level.width_s] = row
        found[level] = rows
    return found


def fuller(one: RolledRow, other: RolledRow) -> RolledRow:
    """The one of two rows of the same time that knows more; the first if they know as much."""
    return other if _known_ms(other) > _known_ms(one) else one


def _known_ms(row: RolledRow) -> tuple[int, int]:
    lacks = [row[i] for i in range(1, 2 * len(Position), 2)]
    return sum(HOUR_S * 1000 - lack for lack in lacks if lack is not None), sum(value is not None for value in row)


def _minutes(start_s: int, flows: Flows) -> list[dict[str, _Sum]]:
    """Power of an hour's sixty minutes."""
    found: list[dict[str, _Sum]] = [{} for _ in range(60)]
    for position, series in flows.series.items():
        for minute, part in zip(found, _cut(series, start_s, flows.max_gap_s), strict=True):
            minute[position] = part
    for i, minute in enumerate(found):
        span = (float(start_s + i * MINUTE_S), float(start_s + (i + 1) * MINUTE_S))
        whole = {name for name, part in minute.items() if part.known_s >= MINUTE_S - 1e-6}
        p1, p2, p3 = (minute.get(position, _Sum()) for position in _METERED)
        # Nearly every minute is known throughout; only in the others the positions' known times must be laid over one another.
        if whole.issuperset(_METERED):
            minute[Quantity.IMPORT] = _Sum(p1.joules + p2.joules, MINUTE_S)
            minute[Quantity.LOAD] = _Sum(p1.joules + p3.joules, MINUTE_S)
            minute[Quantity.AVOIDED] = _Sum(p3.joules - p2.joules, MINUTE_S)
            minute[METERED] = _Sum(0.0, MINUTE_S)
        elif any(part.known_s for part in (p1, p2, p3)):
            for quantity in QUANTITIES:
                minute[quantity] = _sum_of(flows.quantity(quantity, *span))
            minute[METERED] = _Sum(0.0, flows.covered(_METERED, *span) * MINUTE_S)
    return found


def _sum_of(energy: Energy) -> _Sum:
    return _Sum((energy.energy_wh or 0.0) * 3600, energy.covered * MINUTE_S)


def _cut(series: PowerSeries, start_s: int, max_gap_s: float) -> list[_Sum]:
    """The integral over each of an hour's minutes: the trapezoid between two samples, cut where a minute ends."""
    found = [_Sum() for _ in range(60)]
    for (left, left_w), (right, right_w) in pairwise(zip(series.times_s, series.powers_w, strict=True)):
        if right - left > max_gap_s or right <= start_s or left >= start_s + HOUR_S:
            continue
        slope = (right_w - left_w) / (right - left)
        begin, stop = max(left - start_s, 0.0), min(right - start_s, float(HOUR_S))
        while begin < stop:
            minute = int(begin // MINUTE_S)
            end = min(stop, float((minute + 1) * MINUTE_S))
            middle_w = left_w + slope * ((begin + end) / 2 + start_s - left)
            found[minute].joules += middle_w * (end - begin)
            found[minute].known_s += end - begin
            begin = end
    return found


def _row(sums: Mapping[str, _Sum], rest: Sequence[Others], width_s: int) -> RolledRow:
    energies: list[int | None] = []
    for flow in FLOWS:
        known = sums[flow]
        lack_ms = round((width_s - known.known_s) * 1000)
        energies += (None, None) if known.known_s <= 0 else (round(known.joules), max(lack_ms, 0))
    metered_lack_ms = max(round((width_s - sums[METERED].known_s) * 1000), 0)
    means = (_mean([other[i] for other in rest]) for i in range(len(MEANS)))
    counters = (_highest([other[len(MEANS) + i] for other in rest]) for i in range(len(COUNTERS)))
    unmetered = metered_lack_ms == width_s * 1000
    return (*energies, None if unmetered else metered_lack_ms, *means, *counters)


def _mean(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known)) if known else None


def _highest(values: Sequence[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
