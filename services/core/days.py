"""Kinds of days, as programmes tell them apart."""

from enum import StrEnum


class Days(StrEnum):
    """Which days a rule looks at."""

    WEEKDAYS = "weekdays"
    """Monday to Friday."""
    WEEKENDS = "weekends"
    """Saturday and Sunday."""
    SAME_WEEKDAY = "same_weekday"
    """A Tuesday for a Tuesday."""
