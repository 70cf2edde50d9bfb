"""What electricity costs when: rates with hours, days of the week and seasons, and the spans of price that they make."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.core.quiet import Hours
from services.core.schedule import within

AHEAD_DAYS = 2
"""Prices are looked up for the rest of today and so many days more."""


class Days(StrEnum):
    """On which days of the week a rate holds."""

    ALL = "all"
    WEEKDAYS = "weekdays"
    WEEKEND = "weekend"


class Season(NamedTuple):
    """From one day of the year to another, both included; may run over the new year."""

    begin: tuple[int, int]
    """Month and day."""
    end: tuple[int, int]

    def holds(self, day: date) -> bool:
        """Whether `day` lies in it."""
        at = (day.month, day.day)
        return self.begin <= at <= self.end if self.begin <= self.end else at >= self.begin or at <= self.end


@dataclass(frozen=True, slots=True)
class Rate:
    """A price, and when it holds."""

    price: float
    """Per kWh, in the tariff's currency."""
    name: str = ""
    hours: Hours | None = None
    days: Days = Days.ALL
    season: Season | None = None

    def holds(self, day: date, at: time) -> bool:
        """Whether it holds at the local time `at` of `day`. The hours after midnight count by their own day."""
        weekend = day.weekday() >= 5
        return (
            (self.days is Days.ALL or weekend == (self.days is Days.WEEKEND))
            and (self.season is None or self.season.holds(day))
            and (self.hours is None or within(at, self.hours.begin, self.hours.end))
        )


@dataclass(frozen=True, slots=True)
class Tariff:
    """Rates in order: the first one that holds counts, and the last holds always."""

    rates: tuple[Rate, ...]
    currency: str = ""


class Priced(NamedTuple):
    """A span of one price, in epoch seconds."""

    begin_s: float
    end_s: float
    price: float
    name: str


@lru_cache(maxsize=64)
def prices(tariff: Tariff, day: date, zone: ZoneInfo) -> tuple[Priced, ...]:
    """The prices from the start of the local `day` until AHEAD_DAYS after its end, adjoining spans of one rate joined."""
    edges = sorted({time(0), *(edge for rate in tariff.rates if rate.hours is not None for edge in rate.hours)})
    found: list[Priced] = []
    for ahead in range(AHEAD_DAYS + 1):
        on = day + timedelta(days=ahead)
        for i, edge in enumerate(edges):
            rate = next(rate for rate in tariff.rates if rate.holds(on, edge))
            begin_s = datetime.combine(on, edge, tzinfo=zone).timestamp()
            end = edges[i + 1] if i + 1 < len(edges) else time(0)
            end_s = datetime.combine(on + timedelta(days=i + 1 == len(edges)), end, tzinfo=zone).timestamp()
            if found and (found[-1].price, found[-1].name) == (rate.price, rate.name):
                found[-1] = found[-1]._replace(end_s=end_s)
            elif end_s > begin_s:
                found.append(Priced(begin_s, end_s, rate.price, rate.name))
    return tuple(found)


@lru_cache(maxsize=256)
def _from(tariff: Tariff, day: date, zone: ZoneInfo, index: int) -> tuple[Priced, ...]:
    spans = prices(tariff, day, zone)[index:]
    return tuple(span for span in spans if span.begin_s < spans[0].begin_s + 86400.0)


def ahead(tariff: Tariff, now: datetime, zone: ZoneInfo) -> tuple[Priced, ...]:
    """The span that `now` lies in, and those that begin within a day after that one began."""
    now_s, day = now.timestamp(), now.astimezone(zone).date()
    for index, span in enumerate(prices(tariff, day, zone)):
        if now_s < span.end_s:
            return _from(tariff, day, zone, index)
    raise AssertionError("a day's prices reach beyond its end")
