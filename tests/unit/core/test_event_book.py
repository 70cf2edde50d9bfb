"""The life of events in the book."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core import event_book
from services.core.event_book import Book, advance, cancel, current, opt_in, schedule
from services.core.events import BadValue, Event, EventStatus
from services.core.goals import Goal, GoalKind, Method

T0 = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def an_event(event_id="a", start=T0 + HOUR, hours=2.0, **changes):
    event = Event(
        id=event_id,
        revision=0,
        start=start,
        end=start + timedelta(hours=hours),
        goal=Goal(GoalKind.MINIMIZE),
        methods=(Method.REPLACEMENT,),
        priority=0,
        status=EventStatus.SCHEDULED,
        changed_at=T0,
    )
    return replace(event, **changes)


def a_book(*events):
    book = Book()
    for event in events:
        book, outcome = schedule(book, event)
        assert outcome.event is not None
    return book


def status(book, event_id="a"):
    return book.events[event_id].status


def test_an_event_lives_from_scheduled_to_archived():
    book = a_book(an_event(start=T0 + 10 * HOUR))
    seen = []
    for hours in (0, 5, 10, 11, 12, 13, 12 + 24 * 8):
        book = advance(book, T0 + hours * HOUR)
        seen.append(status(book) if "a" in book.events else "archived")
    assert seen == ["scheduled", "upcoming", "ongoing", "ongoing", "completed", "completed", "archived"]


def test_a_repeated_or_lower_revision_is_ignored_and_a_higher_one_amends():
    book = a_book(an_event(revision=3))
    for revision in (2, 3):
        same, outcome = schedule(book, an_event(revision=revision, hours=4))
        assert (same, outcome.event) == (book, None)
    book, outcome = schedule(book, an_event(revision=4, hours=4))
    assert outcome.event is not None
    assert book.events["a"].end == T0 + 5 * HOUR


def test_amending_an_ongoing_event_keeps_its_start_and_its_status():
    book = advance(a_book(an_event(start=T0)), T0 + HOUR)
    book, _ = schedule(book, an_event(revision=1, start=T0 + HOUR, hours=3))
    assert (book.events["a"].start, book.events["a"].end, status(book)) == (T0, T0 + 4 * HOUR, EventStatus.ONGOING)


@pytest.mark.parametrize("hours_later", [4, 24 * 9, 24 * 300])
def test_a_finished_event_never_replays(hours_later):
    book = advance(advance(a_book(an_event()), T0 + HOUR), T0 + 3 * HOUR)
    book = advance(book, T0 + hours_later * HOUR)
    again, outcome = schedule(book, an_event(revision=9, start=T0 + (hours_later + 1) * HOUR))
    assert (again, outcome.event) == (book, None)
    # While the finished event is on the bus it answers for itself; afterwards only a refusal does.
    assert (getattr(outcome.refusal, "field", None) == "id") == ("a" in book.archived)


def test_a_refusal_does_not_take_the_place_of_an_archived_event():
    book = advance(advance(advance(a_book(an_event()), T0 + HOUR), T0 + 3 * HOUR), T0 + 24 * 9 * HOUR)
    assert "a" in book.archived
    same, _ = event_book.refuse(book, an_event(revision=1), BadValue("event", "a", "nobody is home"))
    assert same == book


def test_an_overlapping_event_is_refused_and_seen_to_be():
    book, outcome = schedule(a_book(an_event()), an_event("b", start=T0 + 2 * HOUR))
    assert outcome.refusal is not None
    assert "overlaps event a" in str(outcome.refusal)
    assert (status(book), status(book, "b")) == (EventStatus.SCHEDULED, EventStatus.REFUSED)


def test_a_higher_priority_takes_the_time_of_a_lower_one():
    book, outcome = schedule(a_book(an_event(priority=2)), an_event("b", priority=1))
    assert outcome.event is not None
    assert (status(book), status(book, "b")) == (EventStatus.CANCELLED, EventStatus.SCHEDULED)
    assert "superseded by b" in book.events["a"].status_reason


def test_events_that_touch_do_not_overlap():
    a_book(an_event(), an_event("b", start=T0 + 3 * HOUR))


def test_an_event_that_passed_unseen_has_expired():
    assert status(advance(a_book(an_event()), T0 + 30 * HOUR)) is EventStatus.EXPIRED


def test_opting_out_and_in_again_while_it_lasts():
    book = advance(a_book(an_event(start=T0)), T0)
    book, _ = cancel(book, "a", T0, opted_out=True)
    assert status(book) is EventStatus.OPTED_OUT
    assert current(book) is None
    book, _ = opt_in(book, "a", T0 + HOUR)
    assert status(advance(book, T0 + HOUR)) is EventStatus.ONGOING


def test_opting_in_is_refused_once_the_time_is_taken_or_over():
    book, _ = cancel(a_book(an_event()), "a", T0, opted_out=True)
    taken, _ = schedule(book, an_event("b"))
    with pytest.raises(BadValue, match="event b has taken its time"):
        opt_in(taken, "a", T0)
    with pytest.raises(BadValue, match="cannot be opted into"):
        opt_in(book, "a", T0 + 9 * HOUR)


def test_an_unknown_id_is_named():
    with pytest.raises(BadValue) as refused:
        cancel(Book(), "nobody", T0)
    assert refused.value.field == "id"


def test_the_ongoing_event_governs_before_the_upcoming_one():
    book = advance(a_book(an_event(start=T0), an_event("b", start=T0 + 2 * HOUR)), T0)
    assert getattr(current(book), "id", None) == "a"


_ORDER = [EventStatus.SCHEDULED, EventStatus.UPCOMING, EventStatus.ONGOING, EventStatus.COMPLETED]


@given(st.lists(st.integers(-100, 100), max_size=30))
def test_whatever_the_clock_does_a_status_never_moves_backwards(hours):
    book, reached = a_book(an_event(start=T0)), 0
    for hour in hours:
        book = advance(book, T0 + hour * HOUR)
        if "a" not in book.events or status(book) is EventStatus.EXPIRED:
            return
        assert _ORDER.index(status(book)) >= reached
        reached = _ORDER.index(status(book))


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 3), st.integers(0, 20), st.integers(1, 6), st.integers(0, 2), st.booleans()),
        max_size=12,
    )
)
def test_open_events_never_overlap_whatever_is_sent(commands):
    book = Book()
    for event_id, revision, start, hours, priority, drop in commands:
        event = an_event(event_id, start=T0 + start * HOUR, hours=hours, revision=revision, priority=priority)
        book, _ = event_book.schedule(book, event)
        if drop and event_id in book.events:
            book, _ = cancel(book, event_id, T0)
        live = [e for e in book.events.values() if e.is_open]
        assert not any(a.overlaps(b) for a in live for b in live if a.id != b.id)
