"""A home's load as whole local days of 24 hours: what the low-bias estimate learns from."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

Hours = tuple[float | None, ...]
"""24 values by local hour; None is unknown."""
NOTHING: Hours = (None,) * 24


@dataclass(frozen=True, slots=True)
class Hour:
    """One UTC hour of the record."""

    start: datetime
    """Aware."""
    load_wh: float | None
    """P1 + P3 over the whole hour; None where it is not known."""
    temperature_c: float | None = None
    """Outdoors, where a sensor or a forecast tells it."""


@dataclass(frozen=True, slots=True)
class Day:
    """One local date. On a day of 25 hours the repeated hour is the mean of both; of 23, the skipped one is unknown."""

    day: date
    load_wh: Hours
    temperature_c: Hours = NOTHING
    restful: bool = False
    """A Saturday, Sunday or public holiday."""


@dataclass(frozen=True, slots=True)
class Past:
    """Consecutive days, the earliest first; days without readings stand in it as unknown."""

    days: tuple[Day, ...]

    def load_wh(self, i: int, hour: int) -> float | None:
        """The load of day `i` at `hour`; hours from 24 on are the next day's."""
        j = i + hour // 24
        return self.days[j].load_wh[hour % 24] if 0 <= j < len(self.days) else None

    def temperature_c(self, i: int, hour: int) -> float | None:
        """The temperature of day `i` at `hour`."""
        j = i + hour // 24
        return self.days[j].temperature_c[hour % 24] if 0 <= j < len(self.days) else None


def past_of(hours: Iterable[Hour], zone: ZoneInfo, until: date, holidays: AbstractSet[date] = frozenset()) -> Past:
    """The record as local days up to and with `until`, from the first day of which anything is known."""
    loads: dict[date, list[list[float]]] = {}
    temperatures: dict[date, list[list[float]]] = {}
    for one in hours:
        local = one.start.astimezone(zone)
        for value, kept in ((one.load_wh, loads), (one.temperature_c, temperatures)):
            if value is not None and local.date() <= until:
                kept.setdefault(local.date(), [[] for _ in range(24)])[local.hour].append(value)
    first = min(loads, default=until)
    days = [first + timedelta(days=i) for i in range((until - first).days + 1)]
    return Past(
        tuple(Day(day, _means(loads.get(day)), _means(temperatures.get(day)), day.weekday() >= 5 or day in holidays) for day in days)
    )


def known_mean(values: Sequence[float | None]) -> float | None:
    """The mean of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _means(hours: list[list[float]] | None) -> Hours:
    return NOTHING if hours is None else tuple(known_mean(values) for values in hours)
