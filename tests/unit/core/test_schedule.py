"""Daily schedules over midnight and daylight saving."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.schedule import next_local, within

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("local", "inside"), [(time(17), True), (time(23, 59), True), (time(0), True), (time(0, 59), True), (time(1), False), (time(12), False)]
)
def test_a_window_may_run_over_midnight(local, inside):
    assert within(local, time(17), time(1)) is inside


@given(
    st.integers(0, 4 * 365 * 86400).map(lambda s: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
    st.times().map(lambda t: t.replace(fold=0)),
)
def test_the_next_occurrence_is_ahead_and_within_a_day_and_an_hour(after, at):
    instant = next_local(after, at, NEW_YORK)
    assert timedelta(0) < instant - after <= timedelta(hours=25)


def test_the_day_the_clocks_go_forward_has_its_five_o_clock_on_time():
    before = datetime(2026, 3, 8, 6, 0, tzinfo=UTC)  # 01:00 local, an hour before the change
    assert next_local(before, time(17), NEW_YORK) == datetime(2026, 3, 8, 21, 0, tzinfo=UTC)
