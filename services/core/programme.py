"""What a demand-response programme's file says: its rules as data, checked. Names of fields are those of the file."""

import re
from calendar import monthrange
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from services.core.config.base import Section
from services.core.config.policy import Duration
from services.core.days import Days

HOUR = timedelta(hours=1)


class LowUse(Section):
    """Days of unusually little use are passed over."""

    share: float = Field(gt=0, lt=1)
    """A day whose event-hours mean lies below this share of the reference is refused."""
    seed_days: int = Field(default=30, ge=1, le=90)
    """The reference is the highest hour within the event hours of so many days, until the first day is accepted; from then on
    it is the mean of all days accepted."""


class DayRule(Section):
    """Which past days a baseline is the mean of."""

    days: Days
    """Of which kind: `weekdays`, `weekends`, or the `same_weekday` as the event."""
    start: int = Field(default=1, ge=1, le=30)
    """The first day looked at, in days before the event."""
    look_back: int = Field(ge=1, le=120)
    """The last one."""
    take: int = Field(ge=1, le=60)
    """How many eligible days are taken, the latest first."""
    keep: Literal["all", "highest", "middle"] = "all"
    """Which of them stay, by the mean of their event hours."""
    keep_days: int | None = Field(default=None, ge=1, le=60)
    """How many, with `highest` and `middle`."""
    fewest: int = Field(default=1, ge=1, le=60)
    """With fewer eligible days there is no baseline."""
    skip_holidays: bool = False
    skip_event_days: bool = True
    skip_before_events: bool = False
    """Also the day before each event day: a station that charges for an event is not itself."""
    low_use: LowUse | None = None

    @model_validator(mode="after")
    def _possible(self) -> "DayRule":
        if (self.keep == "all") != (self.keep_days is None):
            raise ValueError("keep_days goes with 'keep: highest' or 'keep: middle', and with those only")
        if self.keep_days is not None and self.keep_days > self.take:
            raise ValueError(f"keep_days ({self.keep_days}) cannot exceed take ({self.take})")
        if self.keep == "middle" and (self.take - (self.keep_days or 0)) % 2:
            raise ValueError("'keep: middle' drops as many at the top as at the bottom: take less keep_days must be even")
        if self.start > self.look_back:
            raise ValueError(f"start ({self.start}) cannot lie beyond look_back ({self.look_back})")
        if self.fewest > self.take:
            raise ValueError(f"fewest ({self.fewest}) cannot exceed take ({self.take})")
        return self


class Adjustment(Section):
    """A correction from the event day's own hours before it."""

    kind: Literal["multiplicative", "additive"]
    begins_before: Duration
    """Where its window begins, before the event's start."""
    length: Duration
    least: float | None = Field(default=None, gt=0, le=1)
    """Multiplicative: the factor is not below this …"""
    most: float | None = Field(default=None, ge=1, le=10)
    """… nor above this."""

    @model_validator(mode="after")
    def _before_the_event(self) -> "Adjustment":
        if not timedelta(0) < self.length <= self.begins_before <= timedelta(hours=24):
            raise ValueError("the window lies before the event: length must be above zero and at most begins_before, and that at most 24 h")
        if self.kind == "additive" and (self.least, self.most) != (None, None):
            raise ValueError("least and most are bounds of a factor; an additive adjustment has none")
        return self


class BaselineRule(Section):
    """How the customer baseline load is reckoned, on grid import P1 + P2."""

    method: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    """The name under which it is published."""
    weekday: DayRule
    weekend: DayRule
    holidays_are_weekend: bool = False
    """An event on a holiday, and holidays among the past days, count as weekend."""
    adjustment: Adjustment | None = None


def _month_day(text: str) -> str:
    try:
        month, day = (int(part) for part in text.split("-"))
        date(2024, month, day)
    except ValueError:
        raise ValueError('use month and day in quotation marks, such as "05-01"') from None
    return text


def _window(text: str) -> str:
    if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)", text) is None or text[:5] >= text[6:]:
        raise ValueError('use local times such as "11:00-15:00", the end after the start and at most 24:00')
    return text


MonthDay = Annotated[str, AfterValidator(_month_day)]


class Season(Section):
    """When events may be called, both days included; may run over the new year."""

    first: MonthDay
    last: MonthDay

    def span(self, year: int) -> tuple[date, date]:
        """The season that begins in `year`. A 29 February falls back to the 28th."""
        first, last = (_dated(year, text) for text in (self.first, self.last))
        return first, last if last >= first else _dated(year + 1, self.last)


class Calls(Section):
    """What an event of this programme looks like: for people; an event outside of it is settled all the same, with a note."""

    days: Literal["weekdays", "any"] = "any"
    windows: tuple[Annotated[str, AfterValidator(_window)], ...] = ()
    """Local times, such as "11:00-15:00"."""
    longest: Duration | None = None
    notice: Duration | None = None
    """How long before the start it is called, at least."""
    reminder: Duration | None = None


class Holidays(Section):
    """Which days are holidays: those of a region, by the `holidays` library, and those of a file."""

    country: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    subdivision: str | None = None
    file: str | None = None
    """Beside the programme file: a line a day, `2026-07-03 what it is`."""

    @model_validator(mode="after")
    def _somewhere(self) -> "Holidays":
        if self.subdivision is not None and self.country is None:
            raise ValueError("subdivision needs a country, such as 'country: US'")
        return self


class PerformanceFactor(Section):
    """The mean hourly reduction over the called hours, over the pledge: within bounds, and rounded."""

    least: float = Field(default=0.0, ge=0, le=1)
    most: float = Field(default=1.0, gt=0, le=5)
    decimals: int = Field(default=2, ge=0, le=6)


class Rates(Section):
    """What is paid. A plug is not the utility's meter: all money is notional."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    reservation_per_kw_month: float = Field(default=0.0, ge=0)
    """For each kilowatt pledged and month of the season, times the month's performance factor."""
    performance_per_kwh: float = Field(default=0.0, ge=0)
    """For each kilowatt-hour reduced in an event."""


class Programme(Section):
    """One programme."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    title: str
    source: str = ""
    """Where its rules were read."""
    recall: tuple[str, ...] = ()
    """The fields that stand from memory, not from the programme's text: verify before relying on them."""
    season: Season | None = None
    calls: Calls = Calls()
    settlement_interval: Duration | None = None
    """Left out: `control.settlement_interval` of the station."""
    baseline: BaselineRule
    holidays: Holidays = Holidays()
    rates: Rates | None = None
    performance_factor: PerformanceFactor = PerformanceFactor()

    @model_validator(mode="after")
    def _sensible(self) -> "Programme":
        if self.settlement_interval is not None and not timedelta(minutes=1) <= self.settlement_interval <= timedelta(hours=24):
            raise ValueError("settlement_interval must lie between one minute and 24 hours")
        for name in self.recall:
            found: Any = self
            for part in name.split("."):
                if part not in type(found).model_fields:
                    raise ValueError(f"recall: '{name}' is no field of this file")
                if (found := getattr(found, part)) is None or not isinstance(found, Section):
                    break
        return self


def _dated(year: int, text: str) -> date:
    month, day = (int(part) for part in text.split("-"))
    return date(year, month, min(day, monthrange(year, month)[1]))
