"""Load and sun are pure functions of time."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.simulator.sun import Panel
from services.simulator.trace import LoadTrace

# A loaded machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PARIS = ZoneInfo("Europe/Paris")
TRACE = LoadTrace(PARIS, 0.2)
PANEL = Panel(PARIS, 200.0)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def test_in_its_own_weeks_the_trace_is_what_was_measured():
    # 2006-12-18 00:00 local: 0.278 kW in the published data.
    assert LoadTrace(PARIS, 1.0).load_w(datetime(2006, 12, 18, tzinfo=PARIS)) == 278.0


def test_each_minute_has_its_own_load():
    start = datetime(2026, 11, 23, 18, tzinfo=UTC)
    assert len({TRACE.load_w(start + timedelta(minutes=minute)) for minute in range(60)}) > 30


@unhurried
@given(moments)
def test_the_load_keeps_time_of_day_and_weekday(at: datetime):
    local = at.astimezone(PARIS)
    later = (local.replace(tzinfo=None) + timedelta(weeks=3)).replace(tzinfo=PARIS)
    assert TRACE.load_w(later) == TRACE.load_w(local)
    assert 0.0 < TRACE.load_w(at) < 2000.0


def test_the_load_changes_by_the_minute_only():
    start = datetime(2026, 11, 23, 18, tzinfo=UTC)
    for minute in range(60):
        at = start + timedelta(minutes=minute)
        assert len({TRACE.load_w(at + timedelta(seconds=second)) for second in (0, 20, 59)}) == 1


def test_a_changing_of_the_clocks_moves_the_day_with_the_wall_clock():
    # Summer time ends in Paris on 2026-10-25: 08:00 local is 06:00 UTC on the day before and 07:00 UTC after.
    summer = TRACE.load_w(datetime(2026, 10, 3, 6, 0, tzinfo=UTC))
    winter = TRACE.load_w(datetime(2026, 11, 14, 7, 0, tzinfo=UTC))
    assert summer == winter


@unhurried
@given(moments)
def test_the_panel_gives_nothing_at_night_and_never_more_than_its_peak(at: datetime):
    assert 0.0 <= PANEL.pv_w(at) <= 200.0
    assert PANEL.pv_w(at.astimezone(PARIS).replace(hour=1, minute=30, fold=0)) == 0.0


def test_the_sun_shines_more_in_summer():
    def month_wh(month: int) -> float:
        start = datetime(2026, month, 1, tzinfo=UTC)
        return sum(PANEL.pv_w(start + timedelta(minutes=10 * step)) for step in range(144 * 28)) / 6.0

    assert month_wh(6) > 3.0 * month_wh(12) > 0.0


def test_days_differ_by_their_clouds():
    noons = [PANEL.pv_w(datetime(2026, 7, day, 11, tzinfo=UTC)) for day in range(1, 15)]
    assert all(a != b for a, b in itertools.pairwise(noons))
