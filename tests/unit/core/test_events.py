"""How what people type becomes an event."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.events import BadValue, EventRequest, check_id, normalise, parse_start
from services.core.goals import Goal, GoalKind
from services.core.preferences import Preferences

PARIS = ZoneInfo("Europe/Paris")
NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)  # 14:00 in Paris
DEFAULTS = Preferences(goal=Goal(GoalKind.MINIMIZE), duration=timedelta(hours=4))


def test_now_means_now():
    assert parse_start("now", NOON, PARIS) == NOON


@pytest.mark.parametrize(
    ("typed", "utc"),
    [
        ("16:00", datetime(2026, 7, 1, 14, 0, tzinfo=UTC)),
        ("14:00", NOON),  # this very minute
        ("13:00", datetime(2026, 7, 2, 11, 0, tzinfo=UTC)),  # past today, so tomorrow
        ("2026-07-01T16:00:00Z", datetime(2026, 7, 1, 16, 0, tzinfo=UTC)),
        ("2026-07-01T16:00:00+02:00", datetime(2026, 7, 1, 14, 0, tzinfo=UTC)),
    ],
)
def test_local_times_mean_their_next_occurrence_and_rfc_3339_what_it_says(typed, utc):
    assert parse_start(typed, NOON, PARIS) == utc


def test_a_local_time_after_the_clocks_change_uses_the_new_offset():
    eve = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)  # 22:00 summer time; clocks go back that night
    assert parse_start("16:00", eve, PARIS) == datetime(2026, 10, 25, 15, 0, tzinfo=UTC)


def test_a_local_time_that_does_not_exist_moves_forward():
    eve = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)
    assert parse_start("02:30", eve, PARIS).astimezone(PARIS).hour == 3


@pytest.mark.parametrize(
    "typed", ["", "tomorrow", "25:00", "12:60", "2026-07-01T16:00:00", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59"]
)
def test_a_start_that_cannot_be_read_is_refused_by_name(typed):
    with pytest.raises(BadValue) as refused:
        parse_start(typed, NOON, PARIS)
    assert refused.value.field == "start"
    assert "now" in refused.value.remedy


def test_an_event_by_hand_needs_only_a_start():
    event = normalise(EventRequest(start="now"), DEFAULTS, NOON, PARIS)
    assert (event.start, event.end - event.start, event.goal.kind) == (NOON, timedelta(hours=4), GoalKind.MINIMIZE)
    check_id(event.id)


def test_an_event_over_midnight_keeps_its_length():
    event = normalise(EventRequest(start="23:00", duration=timedelta(hours=4)), DEFAULTS, NOON, PARIS)
    assert event.end - event.start == timedelta(hours=4)
    assert event.end.astimezone(PARIS).day == event.start.astimezone(PARIS).day + 1


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (EventRequest(start="2026-07-01T11:00:00Z"), "start"),
        (EventRequest(start="2028-07-01T11:00:00Z"), "start"),
        (EventRequest(start="now", duration=timedelta(0)), "duration"),
        (EventRequest(start="now", duration=timedelta(hours=-1)), "duration"),
        (EventRequest(start="now", duration=timedelta(days=7)), "duration"),
        (EventRequest(start="now", id="command"), "id"),
        (EventRequest(start="now", id="."), "id"),
        (EventRequest(start="now", id=".."), "id"),
        (EventRequest(start="now", id="a/b"), "id"),
        (EventRequest(start="now", id="+"), "id"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_field(request_, field):
    with pytest.raises(BadValue) as refused:
        normalise(request_, DEFAULTS, NOON, PARIS)
    assert refused.value.field == field


@given(st.text(max_size=40))
def test_any_text_as_a_start_gives_a_time_in_utc_or_a_refusal(typed):
    try:
        start = parse_start(typed, NOON, PARIS)
    except BadValue:
        return
    assert start.utcoffset() == timedelta(0)
