"""Hours of the day that recur daily in local time, such as "22:00-07:00", and the spans of time that they make."""

import re
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.core.schedule import within

_REMEDY = 'use two local times in quotation marks, such as "22:00-07:00"'


class Hours(NamedTuple):
    """From `begin` up to `end` in local time, every day; may run over midnight."""

    begin: time
    end: time

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"

    def holds(self, now: datetime, zone: ZoneInfo) -> bool:
        """Whether `now` is one of these hours in `zone`."""
        return within(now.astimezone(zone).time(), self.begin, self.end)

    @property
    def length(self) -> timedelta:
        """How long they last on a day without a clock change."""
        minutes = (self.end.hour - self.begin.hour) * 60 + self.end.minute - self.begin.minute
        return timedelta(minutes=minutes % 1440)


class Span(NamedTuple):
    """A stretch of time, in epoch seconds."""

    begin_s: float
    end_s: float


def parse_hours(value: object) -> Hours:
    """Hours from text such as "22:00-07:00", or from Hours. Raises ValueError."""
    if isinstance(value, Hours):
        return value
    match = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*(?:-|to)\s*(\d{1,2}):(\d{2})\s*", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(_REMEDY)
    hour, minute, end_hour, end_minute = (int(part) for part in match.groups())
    try:
        begin, end = time(hour, minute), time(0 if (end_hour, end_minute) == (24, 0) else end_hour, end_minute)
    except ValueError:
        raise ValueError(_REMEDY) from None
    if begin == end:
        raise ValueError("it begins and ends at the same time, which is no time at all; leave it out, or name two times")
    return Hours(begin, end)


@lru_cache(maxsize=64)
def spans(hours: Hours, begin: datetime, end: datetime, zone: ZoneInfo) -> tuple[Span, ...]:
    """Where `hours` fall between `begin` and `end`, cut to these."""
    found = []
    day = begin.astimezone(zone).date() - timedelta(days=1)
    while day <= end.astimezone(zone).date():
        last = day + timedelta(days=hours.begin >= hours.end)
        from_s = max(datetime.combine(day, hours.begin, tzinfo=zone).timestamp(), begin.timestamp())
        until_s = min(datetime.combine(last, hours.end, tzinfo=zone).timestamp(), end.timestamp())
        if from_s < until_s:
            found.append(Span(from_s, until_s))
        day += timedelta(days=1)
    return tuple(found)


def free_s(begin_s: float, end_s: float, blocked: tuple[Span, ...]) -> float:
    """How much of [begin_s, end_s) lies in none of `blocked`, which may overlap."""
    total, at_s = 0.0, begin_s
    for span in sorted(blocked):
        if span.begin_s > at_s:
            total += max(0.0, min(span.begin_s, end_s) - at_s)
        at_s = max(at_s, span.end_s)
    return total + max(0.0, end_s - at_s)


def latest_begin_s(needed_s: float, end_s: float, blocked: tuple[Span, ...]) -> float:
    """The latest time from which `needed_s` outside `blocked` still fit in before `end_s`."""
    left_s, at_s = needed_s, end_s
    for span in sorted(blocked, key=lambda one: one.end_s, reverse=True):
        if span.end_s < at_s:
            room_s = at_s - span.end_s
            if room_s >= left_s:
                return at_s - left_s
            left_s -= room_s
        at_s = min(at_s, span.begin_s)
    return at_s - left_s
