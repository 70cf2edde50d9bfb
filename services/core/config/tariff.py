"""The tariff and the battery's price in the station file: what the `time_of_use` policy reckons with."""

import re
from typing import Annotated

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from services.core.config.base import Section
from services.core.quiet import Hours, parse_hours
from services.core.tariff import Days, Rate, Season, Tariff
from services.core.wear import Wear

HoursOfDay = Annotated[
    Hours,
    PlainValidator(parse_hours),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "description": "Two local times; may run over midnight.", "examples": ["22:00-07:00"]}),
]
_SEASON = re.compile(r"(\d{1,2})-(\d{1,2})\s*(?:\.\.|to)\s*(\d{1,2})-(\d{1,2})")
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_season(value: object) -> Season:
    """A season from text such as "06-01..09-30" (month-day, both included). Raises ValueError."""
    if isinstance(value, Season):
        return value
    if isinstance(value, str) and (match := _SEASON.fullmatch(value.strip())) is not None:
        month, day, end_month, end_day = (int(part) for part in match.groups())
        if all(1 <= m <= 12 and 1 <= d <= _LENGTHS[m - 1] for m, d in ((month, day), (end_month, end_day))):
            return Season((month, day), (end_month, end_day))
    raise ValueError('use two days of the year as month-day, such as "06-01..09-30"')


def _season_text(season: Season) -> str:
    return "..".join(f"{month:02}-{day:02}" for month, day in season)


SeasonOfYear = Annotated[
    Season,
    PlainValidator(parse_season),
    PlainSerializer(_season_text, return_type=str),
    WithJsonSchema({"type": "string", "description": "Month-day to month-day, both included.", "examples": ["06-01..09-30"]}),
]


class RateSection(Section):
    """One price, and when it holds. What is left out holds always."""

    price_per_kwh: float = Field(ge=0, le=100)
    name: str = Field(default="", max_length=40)
    hours: HoursOfDay | None = None
    """Such as "14:00-20:00", local."""
    days: Days = Days.ALL
    """`weekdays` are Monday to Friday; a public holiday is priced as its day of the week."""
    season: SeasonOfYear | None = None
    """Such as "06-01..09-30"."""

    def rate(self) -> Rate:
        """The rate in the system's own form."""
        return Rate(self.price_per_kwh, self.name, self.hours, self.days, self.season)


class TariffSection(Section):
    """What electricity costs when: the first rate that holds counts."""

    currency: str = Field(default="", max_length=8)
    rates: tuple[RateSection, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _always_priced(self) -> "TariffSection":
        last = self.rates[-1].rate()
        if last.hours is not None or last.season is not None or last.days is not Days.ALL:
            raise ValueError("the last rate must hold always: give it no hours, days or season, so that every hour has a price")
        return self

    def tariff(self) -> Tariff:
        """The tariff in the system's own form."""
        return Tariff(tuple(rate.rate() for rate in self.rates), self.currency)


class WearSection(Section):
    """What the power station cost, and how long its cells last: together the price of a cycle."""

    price: float = Field(ge=0, le=1_000_000)
    """In the tariff's currency."""
    cycles: float = Field(default=3500, gt=0, le=100_000)
    """Until 80 % of the capacity is left; makers of lithium iron phosphate cells state 3000 to 6000."""
    depth_pct: float = Field(default=80, gt=0, le=100)
    """At this depth of discharge."""

    def wear(self) -> Wear:
        """The wear in the system's own form."""
        return Wear(self.price, self.cycles, self.depth_pct)
