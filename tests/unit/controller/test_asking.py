"""Events that ask, events that are too many, and amendments of events that run: what commands and time make of the book."""

from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.bus.messages.events import EventCommand
from services.controller.book import SHORT_ANSWER, obey
from services.core.event_book import Book, advance, current
from services.core.events import BadValue, EventStatus
from services.core.preferences import Answer, Participation
from services.core.quiet import parse_hours
from tests.unit.controller.conftest import NOW, SETTINGS, STATION

HOUR = timedelta(hours=1)
ALWAYS = STATION.preferences.preferences()
ASK = replace(ALWAYS, participation=Participation.ASK, answer_before=2 * HOUR)


def send(book=None, preferences=ASK, now=NOW, **command):
    return obey(book if book is not None else Book(), EventCommand.model_validate(command), preferences, SETTINGS, now)


def in_hours(hours):
    return (NOW + hours * HOUR).isoformat()


def an_asking_event(hours=10, **more):
    return send(id="x", start=in_hours(hours), duration="PT2H", **more)[0]


def test_an_event_that_asks_is_pending_with_a_deadline_and_governs_nothing():
    book = an_asking_event()
    event = book.events["x"]
    assert (event.status, event.answer_by, event.unanswered) == (EventStatus.PENDING, NOW + 8 * HOUR, Answer.DECLINE)
    assert current(advance(book, NOW + 7 * HOUR), NOW + 7 * HOUR) is None


def test_accepted_it_is_an_event_like_any_other():
    book, outcome = send(an_asking_event(), id="x", action="accept")
    assert outcome.note == "accepted"
    assert (book.events["x"].status, book.events["x"].answer_by) == (EventStatus.SCHEDULED, None)
    assert advance(book, NOW + 10 * HOUR).events["x"].status is EventStatus.ONGOING


@pytest.mark.parametrize("action", ["decline", "opt_out"])
def test_declined_it_is_over_until_somebody_thinks_better_of_it(action):
    book, _ = send(an_asking_event(), id="x", action=action)
    assert (book.events["x"].status, book.events["x"].status_reason) == (EventStatus.OPTED_OUT, "declined")
    book, _ = send(book, id="x", action="accept")
    assert book.events["x"].status is EventStatus.SCHEDULED


@pytest.mark.parametrize(("default", "status"), [(Answer.ACCEPT, EventStatus.UPCOMING), (Answer.DECLINE, EventStatus.OPTED_OUT)])
def test_without_an_answer_the_default_holds_and_says_so(default, status):
    book = an_asking_event(preferences=replace(ASK, if_unanswered=default))
    before, after = advance(book, NOW + 8 * HOUR - timedelta(seconds=1)), advance(book, NOW + 8 * HOUR)
    assert before.events["x"].status is EventStatus.PENDING
    assert after.events["x"].status is status
    assert "nobody answered" in after.events["x"].status_reason


def test_one_that_will_be_accepted_is_prepared_for_while_it_waits():
    book = an_asking_event(4, preferences=replace(ASK, if_unanswered=Answer.ACCEPT))
    assert getattr(current(book, NOW), "id", None) == "x"


def test_at_short_notice_the_person_still_has_some_minutes():
    book, _ = send(id="x", start="now")
    assert book.events["x"].answer_by == NOW + SHORT_ANSWER
    book, _ = send(book, id="x", action="accept", now=NOW + timedelta(minutes=5))
    assert book.events["x"].status is EventStatus.ONGOING


def test_a_pending_event_takes_nobodys_time_before_it_is_accepted():
    book, _ = send(preferences=ALWAYS, id="old", start=in_hours(10), duration="PT2H", priority=5)
    book, _ = send(book, id="x", start=in_hours(11), duration="PT2H", priority=1)
    assert (book.events["old"].status, book.events["x"].status) == (EventStatus.SCHEDULED, EventStatus.PENDING)
    accepted, _ = send(book, id="x", action="accept")
    assert "superseded by x" in accepted.events["old"].status_reason
    declined, _ = send(book, id="x", action="decline")
    assert declined.events["old"].status is EventStatus.SCHEDULED


def test_an_amendment_while_it_waits_moves_the_deadline_and_afterwards_asks_no_more():
    book, _ = send(an_asking_event(), id="x", start=in_hours(12), duration="PT2H", revision=1)
    assert (book.events["x"].status, book.events["x"].answer_by) == (EventStatus.PENDING, NOW + 10 * HOUR)
    book, _ = send(book, id="x", action="accept")
    book, _ = send(book, id="x", start=in_hours(13), duration="PT2H", revision=2)
    assert book.events["x"].status is EventStatus.SCHEDULED


def test_a_station_that_was_off_past_the_event_lets_it_expire_or_declines_it():
    late = NOW + 40 * HOUR
    assert advance(an_asking_event(), late).events["x"].status is EventStatus.OPTED_OUT
    book = an_asking_event(preferences=replace(ASK, if_unanswered=Answer.ACCEPT))
    assert not advance(book, late).events["x"].is_open


@given(st.lists(st.tuples(st.sampled_from(["accept", "decline", "opt_out", "opt_in", "cancel", "wait"]), st.integers(0, 3)), max_size=10))
def test_whatever_is_answered_no_event_runs_that_was_declined_last(answers):
    book, now, wish = an_asking_event(6), NOW, "decline"
    for action, hours in answers:
        now += hours * HOUR
        book = advance(book, now)
        if action != "wait" and "x" in book.events:
            try:
                book, outcome = send(book, id="x", action=action, now=now)
            except BadValue:
                continue
            if outcome.event is not None:
                wish = {"accept": "accept", "opt_in": "accept"}.get(action, "decline")
    book = advance(book, NOW + 7 * HOUR)
    if "x" in book.events and book.events["x"].status is EventStatus.ONGOING:
        assert wish == "accept"


# How many, and when.


def test_more_events_than_the_person_wants_in_a_week_are_refused_with_the_reason():
    few = replace(ALWAYS, max_events_per_week=2)
    book = Book()
    for name, hours in (("a", 10), ("b", 20)):
        book, _ = send(book, few, id=name, start=in_hours(hours), duration="PT1H")
    full, outcome = send(book, few, id="c", start=in_hours(30), duration="PT1H")
    assert full.events["c"].status is EventStatus.REFUSED
    assert "max_events_per_week" in outcome.refusal.remedy
    next_week, _ = send(book, few, id="d", start=in_hours(7 * 24), duration="PT1H")
    assert next_week.events["d"].is_open
    freed, _ = send(book, few, id="a", action="opt_out")
    freed, _ = send(freed, few, id="c", start=in_hours(30), duration="PT1H")
    assert freed.events["c"].is_open
    with pytest.raises(BadValue, match="max_events_per_week"):
        send(freed, few, id="a", action="opt_in")


def test_an_event_of_a_full_week_can_still_be_amended_within_it():
    few = replace(ALWAYS, max_events_per_week=1)
    book, _ = send(None, few, id="a", start=in_hours(10), duration="PT1H")
    book, outcome = send(book, few, id="a", start=in_hours(11), duration="PT1H", revision=1)
    assert outcome.note == "amended"


def test_the_week_begins_on_the_local_monday():
    few = replace(ALWAYS, max_events_per_week=1)
    # 23:30 UTC on Sunday, 5 July 2026, is already Monday in Paris.
    book, _ = send(None, few, id="a", start="2026-07-05T10:00:00Z", duration="PT1H")
    book, _ = send(book, few, id="b", start="2026-07-05T23:30:00Z", duration="PT1H")
    assert book.events["b"].is_open


def test_events_that_reach_into_the_persons_own_hours_are_refused_and_others_are_not():
    home = replace(ALWAYS, no_event_hours=parse_hours("22:00-07:00"))
    book, outcome = send(None, home, id="late", start="21:00", duration="PT2H")
    assert book.events["late"].status is EventStatus.REFUSED
    assert "22:00-07:00" in outcome.refusal.remedy
    book, _ = send(book, home, id="fits", start="20:00", duration="PT2H")
    assert book.events["fits"].is_open


# While it runs.


def running(**command):
    book, _ = send(None, ALWAYS, id="x", start="now", duration="PT4H", **command)
    return book


LATER = NOW + HOUR


@pytest.mark.parametrize("start", [NOW.isoformat(), NOW.astimezone(SETTINGS.zone).strftime("%H:%M")])
@pytest.mark.parametrize(("duration", "ends_in"), [("PT2H", 2), ("PT6H", 6)])
def test_shortened_or_extended_by_its_own_start_it_counts_from_there(start, duration, ends_in):
    book, _ = send(running(), ALWAYS, LATER, id="x", start=start, duration=duration, revision=1)
    event = book.events["x"]
    assert (event.start, event.end, event.status) == (NOW, NOW + ends_in * HOUR, EventStatus.ONGOING)


def test_amended_from_now_its_start_stays_and_its_duration_counts_from_now():
    book, _ = send(running(), ALWAYS, LATER, id="x", start="now", duration="PT1H", revision=1)
    assert (book.events["x"].start, book.events["x"].end) == (NOW, LATER + HOUR)


def test_shortened_to_before_now_it_is_over():
    book, _ = send(running(), ALWAYS, LATER, id="x", start=NOW.isoformat(), duration="PT30M", revision=1)
    assert book.events["x"].status is EventStatus.COMPLETED


def test_another_past_start_is_still_refused():
    with pytest.raises(BadValue, match="past"):
        send(running(), ALWAYS, LATER, id="x", start=(NOW - HOUR).isoformat(), duration="PT4H", revision=1)


def test_a_new_goal_while_it_runs_holds_from_the_next_decision():
    book, _ = send(
        running(), ALWAYS, LATER, id="x", start=NOW.isoformat(), duration="PT4H", revision=1, goal={"kind": "limit", "import_w": 50}
    )
    assert book.events["x"].goal.power_w == 50


def test_extended_into_another_event_the_amendment_is_refused_and_the_event_goes_on():
    book = running()
    book, _ = send(book, ALWAYS, id="y", start=in_hours(5), duration="PT1H")
    book, outcome = send(book, ALWAYS, LATER, id="x", start=NOW.isoformat(), duration="PT6H", revision=1)
    assert outcome.refusal is not None
    assert (book.events["x"].end, book.events["x"].status) == (NOW + 4 * HOUR, EventStatus.ONGOING)


# Goals that cannot be.


@pytest.mark.parametrize("watts", [-1, -0.001, float("nan"), float("inf"), 100_001])
@pytest.mark.parametrize("goal", [("pledge", "reduction_w"), ("limit", "import_w")])
def test_goals_below_zero_or_no_numbers_are_refused(goal, watts):
    with pytest.raises(ValidationError):
        EventCommand.model_validate({"start": "now", "goal": {"kind": goal[0], goal[1]: watts}})


def test_a_pledge_above_the_inverter_is_taken_with_a_warning():
    book, _ = send(None, ALWAYS, id="x", start="now", goal={"kind": "pledge", "reduction_w": 5000})
    event = book.events["x"]
    assert event.status is EventStatus.ONGOING
    assert "1800 W" in event.status_reason
    assert event.start.tzinfo is UTC
