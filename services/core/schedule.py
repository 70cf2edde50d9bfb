"""Daily schedules in local time, right over midnight and daylight saving."""

from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo


def next_local(after: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The next instant strictly after `after` at which the clock of `zone` shows `at`, in UTC.

    A time that daylight saving skips moves forward by the gap; of one that occurs twice, the first counts.
    """
    for instant in _instants(after.toordinal(), at, zone):
        if instant > after:
            return instant
    raise AssertionError("the day after tomorrow is never past")


@lru_cache(maxsize=64)
def _instants(ordinal: int, at: time, zone: ZoneInfo) -> tuple[datetime, ...]:
    """When the clock of `zone` shows `at` on the days around that of `ordinal`, wherever on Earth that day was counted."""
    days = (date.fromordinal(ordinal + days) for days in range(-2, 5))
    return tuple(datetime.combine(day, at, tzinfo=zone).astimezone(UTC) for day in days)


def within(local: time, begin: time, end: time) -> bool:
    """Whether `local` lies in [begin, end), which may run over midnight; empty when both are the same."""
    if begin <= end:
        return begin <= local < end
    return local >= begin or local < end
