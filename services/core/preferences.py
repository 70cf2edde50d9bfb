"""What the person chose: how the station answers events, and what may leave the house."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from services.core.goals import Goal, Method


class SharingLevel(StrEnum):
    """What the aggregator may receive, each level holding the one before (design section 6)."""

    NONE = "none"
    EVENT = "event"
    HOURLY = "hourly"
    FULL = "full"


class Participation(StrEnum):
    """Whether the station answers events by itself."""

    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Preferences:
    """Defaults for the fields that an event leaves out, and the person's own limits."""

    goal: Goal
    duration: timedelta
    methods: tuple[Method, ...] = (Method.REPLACEMENT,)
    participation: Participation = Participation.ALWAYS
    backup_reserve_pct: float = 20.0
    """State of charge kept for an outage; events and the daily cycle never go below it."""
    sharing: SharingLevel = SharingLevel.NONE
