"""Durations as people and programmes write them: ISO 8601, or a plain number of hours."""

from datetime import timedelta
from math import isfinite

from pydantic import TypeAdapter, ValidationError

_ISO = TypeAdapter(timedelta)
_REMEDY = "use ISO 8601 such as 'PT4H' or 'PT90M', or a number of hours such as 4"


def parse_duration(value: object) -> timedelta:
    """A timedelta from ISO 8601 text, a number of hours, or a timedelta. Raises ValueError."""
    if isinstance(value, timedelta):
        return value
    try:
        if isinstance(value, str) and value.lstrip("+-").upper().startswith("P"):
            return _ISO.validate_python(value)
        if isinstance(value, (int, float, str)) and not isinstance(value, bool) and isfinite(hours := float(value)):
            return timedelta(hours=hours)
    except (ValidationError, ValueError, OverflowError):
        pass
    raise ValueError(_REMEDY)
