"""What the person chose: how the station answers events, and what may leave the house."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from services.core.goals import Goal, Method
from services.core.quiet import Hours


class SharingLevel(StrEnum):
    """What the aggregator may receive, each level holding the one before (design section 6)."""

    NONE = "none"
    EVENT = "event"
    HOURLY = "hourly"
    FULL = "full"


class Participation(StrEnum):
    """Whether the station answers events by itself."""

    ALWAYS = "always"
    ASK = "ask"
    """Every event waits for the person's answer, until a deadline."""
    NEVER = "never"


class Answer(StrEnum):
    """What a person says to an event that asks."""

    ACCEPT = "accept"
    DECLINE = "decline"


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
    sharing_fields: Mapping[str, bool] = field(default_factory=dict, hash=False)
    """Single fields of the level, by the names in `sharing_fields.py`, switched on or off."""
    answer_before: timedelta | None = None
    """With `ask`: how long before an event's start its answer is due."""
    if_unanswered: Answer = Answer.DECLINE
    """With `ask`: what holds when the deadline passes without an answer."""
    max_events_per_week: int | None = None
    """Events that may take place in one week, Monday to Sunday in local time; None for any number."""
    quiet_hours: Hours | None = None
    """Hours in which the grid never charges the battery: the charger's fan rests."""
    no_event_hours: Hours | None = None
    """Hours into which no event may reach."""
