"""Local times without an offset, through the hours that clocks are changed."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.local_times import LocalTimes, NoSuchTime


def local(month, day, hour, minute=0):
    return datetime(2026, month, day, hour, minute)  # noqa: DTZ001 - that is what this is about


PARIS = ZoneInfo("Europe/Paris")
ZONES = [PARIS, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kolkata")]


@given(
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    spacing_s=st.integers(60, 14 * 60),  # half of the least shift there is, Lord Howe's, is a quarter of an hour
)
def test_a_file_written_all_day_long_is_read_as_it_happened(zone, day, spacing_s) -> None:
    begin = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    instants = [begin + timedelta(seconds=i * spacing_s) for i in range(30 * 3600 // spacing_s)]
    times = LocalTimes(zone)
    assert [times.resolve(ts.astimezone(zone).replace(tzinfo=None)) for ts in instants] == instants


@pytest.mark.parametrize("minutes", [60, 30, 20])
def test_the_hour_that_came_twice_is_told_apart_by_times_that_go_back(minutes) -> None:
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)
    instants = [begin + timedelta(minutes=minutes * i) for i in range(6 * 60 // minutes)]
    times = LocalTimes(PARIS)
    assert [times.resolve(ts.astimezone(PARIS).replace(tzinfo=None)) for ts in instants] == instants
    (overlap,) = times.overlaps.values()
    assert (overlap.lines, overlap.told_apart) == (2 * 60 // minutes, True)


def test_where_nothing_tells_it_is_the_first_and_said() -> None:
    times = LocalTimes(PARIS)
    assert times.resolve(local(10, 25, 2, 30)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    (overlap,) = times.overlaps.values()
    assert not overlap.told_apart


def test_two_lines_out_of_order_are_no_change_of_clocks() -> None:
    times = LocalTimes(PARIS)
    found = [times.resolve(local(10, 25, 2, minute)) for minute in (30, 32, 31, 33)]
    assert [ts.hour for ts in found] == [0, 0, 0, 0]
    after_a_gap = LocalTimes(PARIS)
    after_a_gap.resolve(local(10, 24, 20))
    assert [after_a_gap.resolve(local(10, 25, 2, minute)).hour for minute in (30, 29, 31)] == [0, 0, 0]


def test_a_time_that_never_was_is_refused() -> None:
    with pytest.raises(NoSuchTime, match="put forward over 2026-03-29 02:30"):
        LocalTimes(PARIS).resolve(local(3, 29, 2, 30))
