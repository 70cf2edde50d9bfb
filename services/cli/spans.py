"""Times and days as a person types them: in the station's time zone unless they carry an offset of their own."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.cli.exits import WRONG_USAGE, fail

_HOW = "write a day such as 2026-07-01, a time such as 2026-07-01T16:00, 'today' or 'yesterday'"


def moment(option: str, text: str, zone: ZoneInfo, today: date, *, end: bool = False) -> datetime:
    """The moment meant by `text`; a day is its midnight, or with `end` the midnight after it, so that the day belongs to the span."""
    if (found := _named(text, today)) is None:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            fail(f"{option} {text}: {_HOW}", WRONG_USAGE)
        if len(text) > len("2026-07-01"):
            return found if found.tzinfo else found.replace(tzinfo=zone)
        found = found.date()
    return midnight(found + timedelta(days=end), zone)


def day(option: str, text: str, today: date) -> date:
    """The day meant by `text`."""
    if (found := _named(text, today)) is not None:
        return found
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: write a day such as 2026-07-01, 'today' or 'yesterday'", WRONG_USAGE)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Where a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _named(text: str, today: date) -> date | None:
    return {"today": today, "yesterday": today - timedelta(days=1)}.get(text)
