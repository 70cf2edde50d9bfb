"""Hours of the day, and the time around them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.quiet import Hours, Span, free_s, latest_begin_s, parse_hours, spans

PARIS = ZoneInfo("Europe/Paris")
T0 = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def test_hours_are_read_as_people_write_them_and_written_back():
    for text in ("22:00-07:00", " 22:00 - 7:00", "22:00 to 07:00"):
        assert str(parse_hours(text)) == "22:00-07:00"
    assert str(parse_hours("12:00-24:00")) == "12:00-00:00"


@pytest.mark.parametrize("value", ["", "22-07", "25:00-07:00", "22:00-22:00", "22:00", 5, None, "22:00-07:00-08:00"])
def test_what_is_no_hours_is_refused_with_what_would_be_right(value):
    with pytest.raises(ValueError, match=r"22:00-07:00|two times"):
        parse_hours(value)


def test_hours_over_midnight_hold_on_both_sides_of_it():
    night = parse_hours("22:00-07:00")
    held = [hour for hour in range(24) if night.holds(datetime(2026, 7, 1, hour, 30, tzinfo=PARIS), PARIS)]
    assert held == [0, 1, 2, 3, 4, 5, 6, 22, 23]
    assert night.length == timedelta(hours=9)


def test_spans_are_cut_to_the_time_asked_for_and_follow_the_clock_change():
    night = parse_hours("22:00-07:00")
    found = spans(night, T0, T0 + timedelta(days=1), PARIS)
    assert [(datetime.fromtimestamp(s.begin_s, UTC).hour, (s.end_s - s.begin_s) / 3600) for s in found] == [(20, 9.0)]
    spring = spans(night, datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC), PARIS)
    assert [(s.end_s - s.begin_s) / 3600 for s in spring] == [8.0]


BLOCKED = st.lists(
    st.tuples(st.integers(0, 500), st.integers(1, 100)).map(lambda t: Span(float(t[0]), float(t[0] + t[1]))), max_size=5
).map(tuple)


@given(BLOCKED, st.integers(1, 300))
def test_from_the_latest_begin_just_the_needed_time_is_free(blocked, needed_s):
    begin_s = latest_begin_s(needed_s, 600.0, blocked)
    assert free_s(begin_s, 600.0, blocked) == pytest.approx(needed_s)
    assert not any(span.begin_s <= begin_s < span.end_s for span in blocked), "it would begin where nothing may begin"


def test_free_time_counts_overlapping_spans_once():
    assert free_s(0.0, 100.0, (Span(10.0, 30.0), Span(20.0, 50.0))) == 60.0
    assert Hours(T0.time(), T0.time()).length == timedelta(0)
