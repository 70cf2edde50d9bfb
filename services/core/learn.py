"""What weeks of readings tell of a power station: capacity, efficiencies, idle draw and charge curve, with intervals. Pure.

From meters and the station's own state of charge only ratios can be seen: the share of the battery that a Wh at each
port moves. What the load can draw from full to empty and the round trip follow from these alone. To tell the capacity
of the cells from their efficiencies takes one figure more: the stated charge efficiency, within its assumed error, and
the intervals of the figures that rest on it are the wider for it. What a meter's gain may be wrong by is in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from typing import NamedTuple

from services.core.battery import Battery
from services.core.linear import Singular, fitted
from services.core.observer_fit import EFFICIENCY, GAIN

BAND = 1.645
"""Half the width of a 90 % interval, in standard errors."""
SEGMENT_S = 3600.0
"""Readings are summed over so long: a state of charge in whole percents says little of less."""
LEAST_DAYS = 7.0
LEAST_IN, LEAST_OUT = 1.0, 3.0
"""From the grid and to the load, as multiples of the capacity."""
CHARGING_W = 20.0
"""Below this P2 charges nothing."""
CARRYING_W = 5.0
"""Below this P3 carries nothing."""
FULL_PCT = 99.5
"""Above this a battery may refuse what it is offered."""
CURVE_STEP_PCT = 10.0
FEWEST = 5
"""Readings that a point of the charge curve rests on."""


class TooShort(ValueError):
    """A history that does not bear the figures; says what is missing."""


class Interval(NamedTuple):
    """A figure, and the interval that holds the true one in nine cases of ten."""

    value: float
    low: float
    high: float


class CurvePoint(NamedTuple):
    """The charging power between two states of charge."""

    from_pct: float
    to_pct: float
    power_w: Interval


class Row(NamedTuple):
    """Mean readings over one step. None is unknown."""

    p2_w: float | None
    p3_w: float | None
    p4_w: float | None
    """0 where there is no panel."""
    soc_pct: float | None


@dataclass(frozen=True, slots=True)
class Learned:
    """The figures."""

    days: float
    """Of readings that could be used."""
    deliverable_wh: Interval
    """What the load can draw from full to empty, the idle draw left out."""
    round_trip: Interval
    """Wh at P3 for a Wh at P2, the idle draw left out."""
    capacity_wh: Interval
    """Of the cells; rests on the stated charge efficiency."""
    charge_efficiency: Interval
    """P2 to the cells; mostly what was stated."""
    discharge_efficiency: Interval
    """The cells to P3; rests on the stated charge efficiency."""
    idle_w: Interval
    """Drawn from the cells; rests on the stated charge efficiency."""
    curve: tuple[CurvePoint, ...]


def learn(rows: Sequence[Row], step_s: float, battery: Battery) -> Learned:
    """The figures from `rows` of means over equal steps of `step_s`, `battery` being what was stated.

    Raises TooShort for a history of less than a week, or in which too little flowed.
    """
    segments = _segments(rows, step_s)
    days = sum(s.hours for s in segments) / 24.0
    if days < LEAST_DAYS:
        raise TooShort(f"there are {days:.1f} days of readings to learn from, and at least {LEAST_DAYS:g} are needed")
    in_wh, out_wh = sum(s.p2_wh for s in segments), sum(s.p3_wh for s in segments)
    least_in_wh, least_out_wh = LEAST_IN * battery.capacity_wh, LEAST_OUT * battery.capacity_wh
    if in_wh < least_in_wh or out_wh < least_out_wh:
        raise TooShort(
            f"too little has flowed to learn from: {in_wh:.0f} Wh in from the grid and {out_wh:.0f} Wh out to the load,"
            f" and at least {least_in_wh:.0f} and {least_out_wh:.0f} Wh are needed; let the battery cycle for some more days"
        )
    sunny = sum(s.p4_wh for s in segments) > 0.1 * battery.capacity_wh
    terms = [(s.p2_wh, -s.p3_wh, -s.hours, *((s.p4_wh,) if sunny else ())) for s in segments]
    try:
        found = fitted(terms, [s.moved_pct / 100.0 for s in segments])
    except Singular:
        raise TooShort(
            "charging and discharging cannot be told apart in these readings; let the battery cycle for some more days"
        ) from None
    per_in, per_out, per_hour = found.values[:3]
    if per_in <= 0.0 or per_out <= 0.0:
        raise TooShort("the state of charge does not follow what flows; check the meters at P2 and P3")
    error_in, error_out, error_hour = (found.error(i) for i in range(3))
    share_in, share_out = error_in / per_in, error_out / per_out
    stated = battery.charge_efficiency
    capacity_wh = stated / per_in
    between = found.covariance[0][1] / (per_in * per_out)
    round_trip = per_in / per_out
    # Relative errors: of a ratio of two fitted figures, and of what also rests on the stated efficiency.
    ratio = sqrt(max(0.0, share_in**2 + share_out**2 - 2.0 * between))
    two_meters = hypot(GAIN, GAIN)
    idle_w = per_hour * capacity_wh
    hour_and_in = error_hour**2 + (per_hour * share_in) ** 2 - 2.0 * per_hour * found.covariance[0][2] / per_in
    return Learned(
        days=days,
        deliverable_wh=_interval(1.0 / per_out, hypot(share_out, GAIN)),
        round_trip=_interval(round_trip, hypot(ratio, two_meters)),
        capacity_wh=_interval(capacity_wh, hypot(share_in, EFFICIENCY, GAIN)),
        charge_efficiency=_interval(stated, EFFICIENCY),
        discharge_efficiency=_interval(round_trip / stated, hypot(ratio, EFFICIENCY, two_meters)),
        idle_w=_spread(idle_w, hypot(sqrt(max(0.0, hour_and_in)) * capacity_wh, idle_w * EFFICIENCY, idle_w * GAIN)),
        curve=_curve(rows),
    )


class _Segment(NamedTuple):
    p2_wh: float
    p3_wh: float
    p4_wh: float
    hours: float
    moved_pct: float


def _segments(rows: Sequence[Row], step_s: float) -> list[_Segment]:
    """Stretches of at least SEGMENT_S without a gap in which the battery was not full, from the middle of a step to that of another.

    They begin and end where nothing is switched: a step that is half this and half that says little of its middle.
    """
    span, found, begin = max(1, round(SEGMENT_S / step_s)), [], None
    for i, row in enumerate(rows):
        if None in row or (row.soc_pct or 0.0) > FULL_PCT:
            begin = None
        elif (begin is None or i - begin >= span) and _steady(rows, i):
            if begin is not None:
                part = rows[begin : i + 1]
                p2_wh, p3_wh, p4_wh = (_wh([one[port] or 0.0 for one in part], step_s) for port in range(3))
                found.append(_Segment(p2_wh, p3_wh, p4_wh, (i - begin) * step_s / 3600.0, _moved(part[0], row)))
            begin = i
    return found


def _steady(rows: Sequence[Row], i: int) -> bool:
    around = rows[max(0, i - 1) : i + 2]
    return len({(one.p2_w is not None and one.p2_w > CHARGING_W, one.p3_w is not None and one.p3_w > CARRYING_W) for one in around}) == 1


def _moved(first: Row, last: Row) -> float:
    return (last.soc_pct or 0.0) - (first.soc_pct or 0.0)


def _wh(powers_w: list[float], step_s: float) -> float:
    """The energy from the middle of the first step to the middle of the last."""
    return (sum(powers_w) - (powers_w[0] + powers_w[-1]) / 2.0) * step_s / 3600.0


def _interval(value: float, relative: float) -> Interval:
    return _spread(value, value * relative)


def _spread(value: float, error: float) -> Interval:
    return Interval(value, max(0.0, value - BAND * error), value + BAND * error)


def _curve(rows: Sequence[Row]) -> tuple[CurvePoint, ...]:
    """The charging power by state of charge: the mean, and the span of nine readings in ten."""
    points = []
    for i in range(round(100.0 / CURVE_STEP_PCT)):
        low_pct, high_pct = i * CURVE_STEP_PCT, (i + 1) * CURVE_STEP_PCT
        powers = sorted(
            row.p2_w
            for before, row, after in zip(rows, rows[1:], rows[2:], strict=False)
            # A step in which the charge begins or ends is a mean of two things.
            if row.p2_w is not None and row.soc_pct is not None and low_pct <= row.soc_pct < high_pct
            if min(one.p2_w or 0.0 for one in (before, row, after)) > CHARGING_W
        )
        if len(powers) >= FEWEST:
            tail = len(powers) // 20
            points.append(CurvePoint(low_pct, high_pct, Interval(sum(powers) / len(powers), powers[tail], powers[-1 - tail])))
    return tuple(points)
