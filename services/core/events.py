"""A demand-response event, its statuses, and how what people type becomes one."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from services.core.goals import Goal, Method
from services.core.preferences import Answer, Preferences
from services.core.schedule import next_local

ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")
RESERVED_IDS = frozenset({"command"})
"""`event/command` is a topic of its own, so no event may be called so."""

MAX_DURATION = timedelta(hours=24)
"""Longer than any programme calls (Con Edison: 4 h); a week is a typing error."""
MAX_NOTICE = timedelta(days=366)
START_GRACE = timedelta(seconds=60)
"""How late a start may arrive and still mean 'at once': the time a message may take."""


class EventStatus(StrEnum):
    """Where an event stands. The first five are open, the others final."""

    PREDICTED = "predicted"
    PENDING = "pending"
    """It waits for the person's answer, until `answer_by`."""
    SCHEDULED = "scheduled"
    UPCOMING = "upcoming"
    ONGOING = "ongoing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    OPTED_OUT = "opted_out"
    EXPIRED = "expired"
    REFUSED = "refused"


CHARGED_IN_ADJUSTMENT = "charged_in_adjustment_window"
"""The battery was charged within the hours by which the programme adjusts its baseline: the adjustment is too high."""

OPEN_STATUSES = frozenset({EventStatus.PREDICTED, EventStatus.PENDING, EventStatus.SCHEDULED, EventStatus.UPCOMING, EventStatus.ONGOING})


@dataclass(frozen=True, slots=True)
class Event:
    """A normalised event. Times are aware UTC; a lower `priority` number wins, as in OpenADR."""

    id: str
    revision: int
    start: datetime
    end: datetime
    goal: Goal
    methods: tuple[Method, ...]
    priority: int
    status: EventStatus
    status_reason: str = ""
    test: bool = False
    changed_at: datetime | None = None
    """When the status last changed."""
    answer_by: datetime | None = None
    """While it is pending: when the person's answer is due."""
    unanswered: Answer | None = None
    """While it is pending: what will hold without an answer."""
    flags: tuple[str, ...] = ()
    """What its settlement should know, such as CHARGED_IN_ADJUSTMENT."""

    @property
    def is_open(self) -> bool:
        """Whether the event may still act."""
        return self.status in OPEN_STATUSES

    def overlaps(self, other: "Event") -> bool:
        """Whether both want the same time; touching ends do not overlap."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class EventRequest:
    """A `schedule` command before defaults: None is "left out". `start` is what was typed."""

    start: str
    id: str | None = None
    revision: int = 0
    duration: timedelta | None = None
    goal: Goal | None = None
    methods: tuple[Method, ...] | None = None
    priority: int = 0
    test: bool = False


class BadValue(ValueError):
    """A field that cannot be accepted, with what would be right."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field}: {value!r} is refused; {remedy}")
        self.field = field
        self.value = value
        self.remedy = remedy


def parse_start(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """When an event starts, in UTC: `now`, local `HH:MM` (its next occurrence) or RFC 3339 with an offset.

    A local time that daylight saving skips moves forward by the gap; one that occurs twice means the first.
    Raises BadValue.
    """
    remedy = 'use "now", a local time such as "16:00", or RFC 3339 with an offset such as "2026-07-01T16:00:00Z"'
    word = text.strip()
    if word.lower() == "now":
        return now
    try:
        if match := re.fullmatch(r"(\d{1,2}):(\d{2})", word):
            return next_local(now - START_GRACE, time(int(match[1]), int(match[2])), zone)
        start = datetime.fromisoformat(word)
    except ValueError:
        raise BadValue("start", text[:80], remedy) from None
    if start.tzinfo is None:
        raise BadValue("start", text[:80], f"it has no offset from UTC; {remedy}")
    try:
        return start.astimezone(UTC)
    except OverflowError:
        raise BadValue("start", text[:80], remedy) from None


def normalise(request: EventRequest, defaults: Preferences, now: datetime, zone: ZoneInfo, running: Event | None = None) -> Event:
    """The event that `request` asks for, with the person's defaults filled in.

    `running` is the ongoing event that it amends: it may name that event's own start, past as it is, and its
    duration then counts from there.

    The id of an event that came without one is derived from its start and its content, so that a decision
    needs no randomness. Raises BadValue for a start in the past, a duration that is not within (0, 24 h], or
    a start more than a year ahead.
    """
    start = parse_start(request.start, now, zone)
    if running is not None and _names(request.start, start, running.start, zone):
        start = running.start
    elif start < now - START_GRACE:
        raise BadValue("start", request.start[:80], f'it is past (now is {now:%Y-%m-%dT%H:%M:%SZ}); use "now" to begin at once')
    if start > now + MAX_NOTICE:
        raise BadValue("start", request.start[:80], "it is more than a year ahead")
    duration = defaults.duration if request.duration is None else request.duration
    if not timedelta(0) < duration <= MAX_DURATION:
        raise BadValue("duration", str(duration), 'use more than zero and at most 24 h, such as "PT4H" or 4')
    event_id = request.id if request.id is not None else derive_id(request, start, now)
    check_id(event_id)
    return Event(
        id=event_id,
        revision=request.revision,
        start=start,
        end=start + duration,
        goal=request.goal or defaults.goal,
        methods=request.methods or defaults.methods,
        priority=request.priority,
        status=EventStatus.SCHEDULED,
        test=request.test,
        changed_at=now,
    )


def _names(typed: str, start: datetime, running: datetime, zone: ZoneInfo) -> bool:
    """Whether what was typed means the start of the running event: the same moment, or the same local time of day."""
    if re.fullmatch(r"\d{1,2}:\d{2}", typed.strip()):
        return start.astimezone(zone).strftime("%H:%M") == running.astimezone(zone).strftime("%H:%M")
    return typed.strip().lower() != "now" and abs(start - running) < timedelta(seconds=1)


def check_id(event_id: str) -> None:
    """Raise BadValue unless `event_id` can stand in a topic, in a web address and on a command line."""
    if not ID_PATTERN.fullmatch(event_id) or event_id in RESERVED_IDS or only_dots(event_id):
        raise BadValue("id", event_id[:80], "use 1 to 64 of A-Z a-z 0-9 . _ -, not dots alone and not the word 'command'")


def only_dots(event_id: str) -> bool:
    """Whether a browser could take it for a folder and fold it out of the address, so that nobody could answer it on the page."""
    return not event_id.strip(".")


def derive_id(request: EventRequest, start: datetime, now: datetime) -> str:
    """A short id for an event that came without one: its start, and a digest of what was asked and when."""
    digest = hashlib.sha256(f"{request!r}|{now.isoformat()}".encode()).hexdigest()
    return f"{start:%Y%m%d-%H%M}-{digest[:4]}"
