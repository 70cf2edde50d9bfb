"""Daily schedules in local time, right over midnight and daylight saving."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def next_local(after: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The next instant strictly after `after` at which the clock of `zone` shows `at`, in UTC.

    A time that daylight saving skips moves forward by the gap; of one that occurs twice, the first counts.
    """
    day = after.astimezone(zone).date()
    for days in (0, 1, 2):
        instant = datetime.combine(day + timedelta(days=days), at, tzinfo=zone).astimezone(UTC)
        if instant > after:
            return instant
    raise AssertionError("the day after tomorrow is never past")


def within(local: time, begin: time, end: time) -> bool:
    """Whether `local` lies in [begin, end), which may run over midnight; empty when both are the same."""
    if begin <= end:
        return begin <= local < end
    return local >= begin or local < end
