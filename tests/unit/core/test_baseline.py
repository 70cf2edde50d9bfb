from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus import programmes
from services.core.average_day import Question, average_day
from services.core.baseline import Measured, intervals_of
from services.core.energy import Energy

PARIS = ZoneInfo("Europe/Paris")
HOUR = timedelta(hours=1)
DAYS = 10
RECENT = programmes.load("recent-days").baseline


def local(text):
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).astimezone(UTC)


def event(start, hours=2):
    return intervals_of(local(start), local(start) + hours * HOUR, HOUR)


def past(import_of, load_of=lambda _: 0.0):
    """A record that is a function of the interval; None where it says None."""

    def known(value):
        return Energy(None, 0.0) if value is None else Energy(value, 1.0)

    return lambda windows: [Measured(known(import_of(w)), known(load_of(w))) for w in windows]


def baseline(intervals, import_of, event_days=(), load_of=lambda _: 0.0):
    return average_day(RECENT, Question(intervals, PARIS, past(import_of, load_of), intervals[0].start, frozenset(event_days)))


def test_intervals_are_aligned_to_the_start_and_the_last_may_be_short() -> None:
    start = local("2026-07-01T16:10")
    assert [(i.start, i.end) for i in intervals_of(start, start + timedelta(minutes=90), HOUR)] == [
        (start, start + HOUR),
        (start + HOUR, start + timedelta(minutes=90)),
    ]


def test_the_mean_of_each_hour_over_the_ten_latest_weekdays() -> None:
    # Wednesday 1 July 2026: the ten weekdays before are 17 to 30 June. The import at hour h of day d is 10 d + h.
    found = baseline(event("2026-07-01T16:00"), lambda w: 10.0 * w.start.astimezone(PARIS).day + w.start.astimezone(PARIS).hour)
    days = [17, 18, 19, 22, 23, 24, 25, 26, 29, 30]
    assert [day.day for day in found.taken] == days[::-1]
    assert found.import_wh == (pytest.approx(sum(10 * d + 16 for d in days) / 10), pytest.approx(sum(10 * d + 17 for d in days) / 10))
    assert found.method == "mean_of_recent_days"
    assert found.note == ""


def test_a_weekend_event_looks_at_weekends_only() -> None:
    found = baseline(event("2026-07-04T16:00"), lambda _: 1.0)
    assert {day.weekday() for day in found.taken} == {5, 6}
    assert len(found.taken) == DAYS


def test_days_with_events_are_refused_with_the_reason() -> None:
    found = baseline(event("2026-07-01T16:00"), lambda _: 1.0, event_days={date(2026, 6, 30), date(2026, 6, 29)})
    assert [(r.day, r.reason) for r in found.refused] == [(date(2026, 6, 30), "had an event"), (date(2026, 6, 29), "had an event")]
    assert len(found.taken) == DAYS


def test_a_missing_hour_makes_the_day_ineligible_instead_of_counting_as_zero() -> None:
    missing = local("2026-06-30T17:00")
    found = baseline(event("2026-07-01T16:00"), lambda w: None if w.start == missing else 100.0)
    assert found.import_wh == (100.0, 100.0)
    assert [(r.day, r.reason) for r in found.refused] == [(date(2026, 6, 30), "no readings for 17:00")]


def test_a_house_without_history_has_no_baseline_and_says_why() -> None:
    found = baseline(event("2026-07-01T16:00"), lambda _: None)
    assert found.import_wh == found.load_wh == (None, None)
    assert found.taken == ()
    assert "none of the last 60 days" in found.note


def test_fewer_than_ten_days_are_used_as_they_are() -> None:
    since = local("2026-06-26T00:00")
    found = baseline(event("2026-07-01T16:00"), lambda w: 5.0 if w.start >= since else None)
    assert [day.day for day in found.taken] == [30, 29, 26]
    assert found.import_wh == (5.0, 5.0)
    assert found.note == "rests on 3 eligible days where the rule takes 10"


def test_a_silent_battery_costs_the_load_figure_but_not_the_import() -> None:
    found = baseline(event("2026-07-01T16:00"), lambda _: 7.0, load_of=lambda _: None)
    assert (found.import_wh, found.load_wh) == ((7.0, 7.0), (None, None))


def test_partly_covered_hours_count_by_their_mean_power() -> None:
    def measure(windows):
        return [Measured(Energy(90.0, 0.9), Energy(90.0, 0.9)) for _ in windows]

    found = average_day(RECENT, Question(intervals := event("2026-07-01T16:00"), PARIS, measure, intervals[0].start))
    assert found.import_wh == (pytest.approx(100.0), pytest.approx(100.0))


@pytest.mark.parametrize("day", ["2026-03-30T17:00", "2026-10-26T17:00"])
def test_the_hour_stays_the_same_over_a_change_of_the_clocks(day) -> None:
    seen = []
    baseline(event(day), lambda w: seen.append(w.start.astimezone(PARIS)) or 1.0)
    assert {w.hour for w in seen} == {17, 18}
    assert len({w.utcoffset() for w in seen[:10]}) == 1  # the days before the change
    assert {w.utcoffset() for w in seen} != {local(day).astimezone(PARIS).utcoffset()}


def test_an_event_over_midnight_takes_each_hour_from_its_own_date() -> None:
    seen = []
    baseline(event("2026-07-01T23:00"), lambda w: seen.append(w.start.astimezone(PARIS)) or 1.0)
    assert [(w.day, w.hour) for w in seen[:4]] == [(30, 23), (1, 0), (29, 23), (30, 0)]


def test_the_second_day_of_an_event_over_midnight_counts_as_an_event_day_too() -> None:
    found = baseline(event("2026-07-01T23:00"), lambda _: 1.0, event_days={date(2026, 6, 30)})
    assert [r.day for r in found.refused] == [date(2026, 6, 30), date(2026, 6, 29)]


@given(st.floats(0.1, 10))
def test_the_baseline_scales_with_the_house(factor) -> None:
    plain = baseline(event("2026-07-01T16:00"), lambda w: float(w.start.day))
    scaled = baseline(event("2026-07-01T16:00"), lambda w: factor * w.start.day)
    assert scaled.import_wh == tuple(pytest.approx(factor * wh) for wh in plain.import_wh)


@given(st.sets(st.integers(1, 60)))
def test_unknown_days_never_lower_the_baseline_of_an_even_house(unknown) -> None:
    start = local("2026-07-01T16:00")
    found = baseline(event("2026-07-01T16:00"), lambda w: None if (start.date() - w.start.date()).days in unknown else 50.0)
    assert set(found.import_wh) <= {50.0, None}
    assert (found.import_wh[0] is None) == (not found.taken) == found.note.startswith("none of")
