"""Station time for decisions when the clock steps: a step counts once it has stood for a while. Pure.

A time server, a daylight-saving bug or a flat clock battery may move the wall clock by hours, and may take it back a minute later.
Until then time goes on as real seconds do, so that a passing error neither starts an event nor lets one expire.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.core.event_book import UPCOMING_LEAD, Book
from services.core.events import EventStatus

STEP = timedelta(seconds=30)
"""What a clock disciplined by slewing never gains at once; a smaller difference is taken as it comes."""
BELIEVED_AFTER_S = 120.0
"""Real seconds that a step must stand."""


@dataclass(frozen=True, slots=True)
class Steady:
    """The time last told, and the step in doubt."""

    at: datetime
    monotonic_s: float
    stepped_by: timedelta | None = None
    """How far the clock is away from the time that is told; None while it is believed."""
    since_s: float = 0.0
    """Real seconds at which that step was first seen."""


def follow(before: Steady | None, clock: datetime, monotonic_s: float, speed: float) -> tuple[Steady, timedelta | None]:
    """The time to decide by, as `.at`, and the step that has just been believed, if any."""
    if before is None:
        return Steady(clock, monotonic_s), None
    flowed = before.at + timedelta(seconds=max(0.0, monotonic_s - before.monotonic_s) * speed)
    off = clock - flowed
    if abs(off) <= STEP * max(1.0, speed):
        return Steady(clock, monotonic_s), None
    same = before.stepped_by is not None and abs(off - before.stepped_by) <= STEP
    since_s = before.since_s if same else monotonic_s
    if monotonic_s - since_s >= BELIEVED_AFTER_S:
        return Steady(clock, monotonic_s), off
    return Steady(flowed, monotonic_s, before.stepped_by if same else off, since_s), None


def rewound(book: Book, now: datetime) -> Book:
    """`book` after the clock was rightly set back to `now`: what a fast clock had begun or let expire too early waits for its start."""
    for event in book.events.values():
        if event.status in (EventStatus.ONGOING, EventStatus.EXPIRED) and event.start > now:
            status = EventStatus.UPCOMING if now >= event.start - UPCOMING_LEAD else EventStatus.SCHEDULED
            book = book.with_event(replace(event, status=status, status_reason="the clock was set back", changed_at=now))
    return book
