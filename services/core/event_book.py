"""The event book's rules: which command changes which event, and what time alone changes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.core.events import BadValue, Event, EventStatus
from services.core.preferences import Answer
from services.core.quiet import Span

UPCOMING_LEAD = timedelta(hours=6)
"""How long before its start an event takes over from the daily cycle. Long enough for a full charge of any
station in the catalogue at its slowest rate."""
KEEP_FINISHED = timedelta(days=7)
"""How long a finished event stays on the bus before it is archived."""
REMEMBER = timedelta(days=400)
"""How long the id of an archived event is remembered, so that a replayed command cannot raise it again."""


@dataclass(frozen=True, slots=True)
class Book:
    """All events the controller knows, and the ids of those it has archived."""

    events: Mapping[str, Event] = field(default_factory=dict)
    archived: Mapping[str, datetime] = field(default_factory=dict)
    """Ids that are gone from the bus but must not come back, with their end."""

    def with_event(self, event: Event) -> "Book":
        """This book with `event` put in."""
        return replace(self, events={**self.events, event.id: event})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did: the event it changed, or why it changed none."""

    event: Event | None
    note: str
    refusal: BadValue | None = None
    """Set when the command was well formed and yet declined: its sender has to be told."""


def schedule(book: Book, event: Event) -> tuple[Book, Outcome]:
    """Enter a normalised event, or amend the one with its id.

    A lower or equal revision is ignored; a finished event never replays, and is refused once it is archived, when nothing on the bus
    tells its sender so; an overlap with an open event is
    refused unless the new one's priority is higher, in which case the older one is cancelled. A pending event
    cancels nothing before it is accepted; an amendment neither asks again nor answers.
    """
    if event.id in book.archived:
        return refuse(book, event, BadValue("id", event.id, "that event is over and archived; use an id that was not used before"))
    known = book.events.get(event.id)
    if known is not None and known.status is not EventStatus.REFUSED:
        if event.revision <= known.revision:
            return book, Outcome(None, f"event {event.id} revision {event.revision} is not above {known.revision}; ignored")
        if not known.is_open:
            return book, Outcome(None, f"event {event.id} is {known.status}; an amendment does not bring it back")
        if known.status is not EventStatus.PENDING:
            event = replace(event, status=known.status, answer_by=None, unanswered=None)
        event = replace(event, start=known.start if known.status is EventStatus.ONGOING else event.start, flags=known.flags)
        if event.end <= event.start:
            return refuse(book, event, BadValue("duration", str(event.end - event.start), "the amended event would end before it started"))
    rivals = [e for e in book.events.values() if e.id != event.id and e.is_open and e.overlaps(event)]
    for rival in rivals:
        if rival.priority <= event.priority:
            remedy = f"it overlaps event {rival.id}; cancel that one, or give this one a lower priority number than {rival.priority}"
            return refuse(book, event, BadValue("start", event.start.isoformat(), remedy))
    if event.status is EventStatus.PENDING:
        return book.with_event(event), Outcome(event, "amended, waiting for an answer" if known else "waiting for an answer")
    for rival in rivals:
        book = book.with_event(close(rival, EventStatus.CANCELLED, f"superseded by {event.id}", event.changed_at))
    return book.with_event(event), Outcome(event, "amended" if known else "accepted")


def refuse(book: Book, event: Event, refusal: BadValue) -> tuple[Book, Outcome]:
    """Decline a well-formed event. It enters the book as refused, so that all can see why; a refused amendment changes nothing.

    Nor does the event enter whose id belongs to an archived one: what came of that one would be overwritten.
    """
    known = book.events.get(event.id)
    if event.id not in book.archived and (known is None or known.status is EventStatus.REFUSED):
        book = book.with_event(replace(event, status=EventStatus.REFUSED, status_reason=str(refusal)))
    return book, Outcome(None, str(refusal), refusal)


def close(event: Event, status: EventStatus, reason: str, now: datetime | None) -> Event:
    """`event` in a final status."""
    return replace(event, status=status, status_reason=reason, changed_at=now)


def cancel(book: Book, event_id: str, now: datetime, *, opted_out: bool = False) -> tuple[Book, Outcome]:
    """Cancel an open event, or opt out of it. Raises BadValue for an id that the book does not hold."""
    event = _known(book, event_id)
    if not event.is_open:
        return book, Outcome(None, f"event {event_id} is already {event.status}")
    status, reason = (EventStatus.OPTED_OUT, "opted out") if opted_out else (EventStatus.CANCELLED, "cancelled")
    if opted_out and event.status is EventStatus.PENDING:
        reason = "declined"
    closed = close(event, status, reason, now)
    return book.with_event(closed), Outcome(closed, reason)


def opt_in(book: Book, event_id: str, now: datetime) -> tuple[Book, Outcome]:
    """Accept a pending event, or take part again in one that was opted out of, while it lasts. Raises BadValue when it cannot be."""
    event = _known(book, event_id)
    if event.status is EventStatus.PENDING and now < event.end:
        return _accepted(book, event, "accepted", now)
    if event.is_open:
        return book, Outcome(None, f"event {event_id} is already {event.status}")
    if event.status is not EventStatus.OPTED_OUT or now >= event.end:
        raise BadValue("id", event_id, f"event is {event.status} and cannot be opted into")
    back = replace(event, status=EventStatus.SCHEDULED, status_reason="opted in again", changed_at=now)
    for rival in book.events.values():
        if rival.id != event_id and rival.is_open and rival.overlaps(back):
            raise BadValue("id", event_id, f"event {rival.id} has taken its time; cancel that one first")
    return book.with_event(back), Outcome(back, "opted in")


def _accepted(book: Book, event: Event, reason: str, now: datetime) -> tuple[Book, Outcome]:
    """The pending event `event` takes part; one of lower priority in its time gives way. Raises BadValue for one that does not."""
    rivals = [
        e for e in book.events.values() if e.id != event.id and e.is_open and e.status is not EventStatus.PENDING and e.overlaps(event)
    ]
    for rival in rivals:
        if rival.priority <= event.priority:
            raise BadValue("id", event.id, f"event {rival.id} has taken its time; cancel that one first")
    for rival in rivals:
        book = book.with_event(close(rival, EventStatus.CANCELLED, f"superseded by {event.id}", now))
    accepted = replace(event, status=EventStatus.SCHEDULED, status_reason=reason, changed_at=now, answer_by=None, unanswered=None)
    return book.with_event(accepted), Outcome(accepted, reason)


def _unanswered(book: Book, event: Event, now: datetime) -> Book:
    """The deadline of a pending event has passed without an answer."""
    if event.unanswered is Answer.ACCEPT and now < event.end:
        try:
            return _accepted(book, event, "accepted: nobody answered in time", now)[0]
        except BadValue as taken:
            return book.with_event(close(event, EventStatus.REFUSED, str(taken), now))
    return book.with_event(close(event, EventStatus.OPTED_OUT, "declined: nobody answered in time", now))


def advance(book: Book, now: datetime, lead: timedelta = UPCOMING_LEAD) -> Book:
    """What time alone changes: open events move on, finished ones are archived, old ids are forgotten.

    A status never moves backwards, whatever the clock does; an event whose whole span passed while nobody
    looked has expired. `lead` is how long before its start an event takes over from the daily cycle.
    """
    for event in book.events.values():
        if event.status is EventStatus.PENDING and event.answer_by is not None and now >= event.answer_by:
            book = _unanswered(book, event, now)
    for event in book.events.values():
        status = _status_at(event, now, lead)
        if status is not event.status:
            reason = {EventStatus.EXPIRED: "it passed while the station was not running"}.get(status, event.status_reason)
            book = book.with_event(replace(event, status=status, status_reason=reason, changed_at=now))
    stale = [e for e in book.events.values() if not e.is_open and now - max(e.end, e.changed_at or e.end) > KEEP_FINISHED]
    if stale:
        gone = {e.id for e in stale}
        book = Book(
            events={k: v for k, v in book.events.items() if k not in gone},
            archived={**book.archived, **{e.id: e.end for e in stale if e.status is not EventStatus.REFUSED}},
        )
    if any(now - end > REMEMBER for end in book.archived.values()):
        book = replace(book, archived={k: v for k, v in book.archived.items() if now - v <= REMEMBER})
    return book


def _status_at(event: Event, now: datetime, lead: timedelta) -> EventStatus:
    if event.status is EventStatus.PENDING and event.answer_by is None and now >= event.end:
        return EventStatus.EXPIRED
    if event.status not in (EventStatus.SCHEDULED, EventStatus.UPCOMING, EventStatus.ONGOING):
        return event.status
    if now >= event.end:
        return EventStatus.COMPLETED if event.status is EventStatus.ONGOING else EventStatus.EXPIRED
    if event.status is EventStatus.ONGOING or now >= event.start:
        return EventStatus.ONGOING
    if event.status is EventStatus.UPCOMING or now >= event.start - lead:
        return EventStatus.UPCOMING
    return EventStatus.SCHEDULED


def current(book: Book, now: datetime | None = None, lead: timedelta = UPCOMING_LEAD) -> Event | None:
    """The event that governs the station: the ongoing one, else the nearest upcoming one.

    With `now`, a pending event that will take place unless somebody declines is prepared for like an upcoming one.
    """
    governing = [e for e in book.events.values() if e.status in (EventStatus.ONGOING, EventStatus.UPCOMING) or _likely(e, now, lead)]
    return min(governing, key=lambda e: (e.status is not EventStatus.ONGOING, e.status is EventStatus.PENDING, e.start), default=None)


def _likely(event: Event, now: datetime | None, lead: timedelta) -> bool:
    if event.status is not EventStatus.PENDING or event.unanswered is not Answer.ACCEPT or now is None:
        return False
    return event.start - lead <= now < event.start


def others(book: Book, governing: Event | None) -> tuple[Span, ...]:
    """When the open events beside the governing one are."""
    if len(book.events) < 2:
        return ()
    mine = governing.id if governing is not None else None
    return tuple(Span(e.start.timestamp(), e.end.timestamp()) for e in book.events.values() if e.is_open and e.id != mine)


def in_week_of(book: Book, event: Event, zone: ZoneInfo) -> int:
    """How many other events of its local week, Monday to Sunday, are open or took place."""
    week = event.start.astimezone(zone).isocalendar()[:2]
    counted = (e for e in book.events.values() if e.id != event.id and (e.is_open or e.status is EventStatus.COMPLETED))
    return sum(e.start.astimezone(zone).isocalendar()[:2] == week for e in counted)


def _known(book: Book, event_id: str) -> Event:
    if (event := book.events.get(event_id)) is None:
        raise BadValue("id", event_id[:80], "no such event; `sps event list` shows the known ones")
    return event
