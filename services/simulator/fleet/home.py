"""A home in closed form: what it draws, what its battery gives in an event, and what it would report. Pure.

The load is a base with a morning and an evening hump, scaled and shifted by home. In an event the battery carries the load, at most its
rating, until what it may give is spent, as the controller's modes 2 and 5 would have it; at night it is recharged. There is no weather,
no relay, no observer: who wants those runs a whole station. The baseline is the same curve without the event, so the reduction is what
the battery gave.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import ceil, exp

STEP = timedelta(minutes=5)
AN_HOUR = timedelta(hours=1)
EFFICIENCY = 0.88
"""Of the inverter; and again of the charger."""
FLOOR = 0.2
"""Of the capacity, never given."""
CHARGE_FROM_H, CHARGE_UNTIL_H = 1.0, 5.0
"""UTC hours in which what was given is charged again, evenly."""


@dataclass(frozen=True, slots=True)
class Home:
    """What tells one home from another."""

    capacity_wh: float
    power_w: float
    """The inverter's rating."""
    base_w: float
    evening_w: float
    evening_h: float
    """When its evening is at its highest, UTC."""

    @property
    def pledge_w(self) -> float:
        """What it can hold for four hours."""
        return round(min(self.power_w, self.capacity_wh * (1 - FLOOR) * EFFICIENCY / 4, self.base_w + self.evening_w / 2), 0)


@dataclass(frozen=True, slots=True)
class Span:
    """An event, as far as a home cares."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Energy:
    """Of one span of time, in Wh: grid to load, grid to battery, battery to load, and the charge at its end."""

    p1_wh: float
    p2_wh: float
    p3_wh: float
    soc_pct: float

    @property
    def load_wh(self) -> float:
        """What the home drew."""
        return self.p1_wh + self.p3_wh


def home(number: int) -> Home:
    """The home of this number: always the same one."""
    digest = hashlib.sha256(f"home {number}".encode()).digest()
    a, b, c, d = (byte / 255 for byte in digest[:4])
    capacity_wh, power_w = ((768.0, 1000.0), (1152.0, 1800.0), (2048.0, 2200.0))[digest[4] % 3]
    return Home(capacity_wh, power_w, base_w=60 + 120 * a, evening_w=80 + 260 * b, evening_h=17.5 + 3.5 * c + 0.5 * d)


def load_w(one: Home, at: datetime) -> float:
    """What the home draws."""
    hour = at.hour + at.minute / 60 + at.second / 3600
    return (
        one.base_w + one.evening_w * exp(-(((hour - one.evening_h) / 1.8) ** 2)) + 0.4 * one.evening_w * exp(-(((hour - 7.5) / 1.2) ** 2))
    )


def energy(one: Home, start: datetime, end: datetime, events: Sequence[Span]) -> Energy:
    """What flows from `start` to `end`, the battery being full at the start of each event."""
    p1_wh = p2_wh = p3_wh = 0.0
    at = start
    while at < end:
        until = min(end, at + STEP)
        hours = (until - at) / AN_HOUR
        middle = at + (until - at) / 2
        drawn_wh = load_w(one, middle) * hours
        given_wh = min(drawn_wh, sum(_given_wh(one, event, until) - _given_wh(one, event, at) for event in events))
        p1_wh += drawn_wh - given_wh
        p3_wh += given_wh
        p2_wh += _charge_w(one, middle, events) * hours
        at = until
    return Energy(p1_wh, p2_wh, p3_wh, _soc_pct(one, end, events))


def baseline_wh(one: Home, start: datetime, end: datetime) -> float:
    """What it would have imported without any event."""
    return energy(one, start, end, ()).load_wh


def full_hours(start: datetime, end: datetime) -> list[datetime]:
    """The UTC hours that lie wholly between."""
    first = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if first < start:
        first += timedelta(hours=1)
    count = max(0, int((end - first) / timedelta(hours=1)))
    return [first + timedelta(hours=number) for number in range(count)]


def _usable_wh(one: Home) -> float:
    return one.capacity_wh * (1 - FLOOR) * EFFICIENCY


@lru_cache(maxsize=256)
def _curve(one: Home, event: Span) -> tuple[float, ...]:
    """What the battery has given after each step of an event, never more than it may."""
    found = [0.0]
    for number in range(ceil((event.end - event.start) / STEP)):
        middle = event.start + (number + 0.5) * STEP
        step_wh = min(one.power_w, load_w(one, middle)) * (STEP / AN_HOUR)
        found.append(min(_usable_wh(one), found[-1] + step_wh))
    return tuple(found)


def _given_wh(one: Home, event: Span, at: datetime) -> float:
    """What the battery has given of an event until `at`."""
    if at <= event.start:
        return 0.0
    steps = (min(at, event.end) - event.start) / STEP
    curve, whole = _curve(one, event), int(steps)
    after = curve[min(whole + 1, len(curve) - 1)]
    return curve[whole] + (after - curve[whole]) * (steps - whole)


def _charge_w(one: Home, at: datetime, events: Sequence[Span]) -> float:
    if not CHARGE_FROM_H <= at.hour + at.minute / 60 < CHARGE_UNTIL_H:
        return 0.0
    day_before = [event for event in events if at - timedelta(hours=30) < event.end <= at.replace(hour=0, minute=0)]
    given_wh = sum(_given_wh(one, event, event.end) for event in day_before)
    return given_wh / EFFICIENCY / EFFICIENCY / (CHARGE_UNTIL_H - CHARGE_FROM_H)


def _soc_pct(one: Home, at: datetime, events: Sequence[Span]) -> float:
    since = [event for event in events if event.start <= at and at - event.end < timedelta(hours=10)]
    given_wh = sum(_given_wh(one, event, at) for event in since)
    return max(100 * FLOOR, 100 - 100 * given_wh / EFFICIENCY / one.capacity_wh)
