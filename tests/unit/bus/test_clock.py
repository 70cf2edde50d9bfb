"""The two-faced clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus.clock import BUILT, ClockUnknown, FollowedClock, ManualClock, Rate, SystemClock

NOW = datetime(2027, 7, 1, 16, 0, tzinfo=UTC)


def test_a_board_without_time_knows_no_time() -> None:
    clock = SystemClock(wall=lambda: BUILT - timedelta(days=3000))
    assert not clock.known
    with pytest.raises(ClockUnknown):
        clock.now()


def test_the_system_clock_is_the_wall_clock() -> None:
    clock = SystemClock(wall=lambda: NOW)
    assert clock.known
    assert clock.now() == NOW
    assert clock.speed == 1


def test_station_time_is_unknown_until_it_is_heard() -> None:
    clock = FollowedClock(wall=lambda: NOW)
    assert not clock.known
    with pytest.raises(ClockUnknown):
        clock.now()
    clock.follow(Rate(epoch_wall=NOW - timedelta(seconds=10), epoch_station=NOW, speed=60))
    assert clock.known
    assert clock.speed == 60
    assert clock.now() == NOW + timedelta(minutes=10)


@given(
    speed=st.floats(1, 3600),
    offset=st.timedeltas(timedelta(days=-30), timedelta(days=30)),
    later=st.timedeltas(timedelta(0), timedelta(days=2)),
)
def test_station_time_runs_speed_times_as_fast(speed, offset, later) -> None:
    rate = Rate(epoch_wall=NOW, epoch_station=NOW + offset, speed=speed)
    assert rate.at(NOW) == NOW + offset
    assert (rate.at(NOW + later) - rate.at(NOW)).total_seconds() == pytest.approx(later.total_seconds() * speed, abs=1e-5)


async def test_a_manual_clock_scales_station_time_only() -> None:
    clock = ManualClock(NOW, speed=60)
    await clock.sleep(2)
    assert clock.monotonic() == 2
    assert clock.now() == NOW + timedelta(minutes=2)
    clock.step(timedelta(hours=-1))
    assert clock.monotonic() == 2
    assert clock.now() == NOW - timedelta(minutes=58)


@pytest.mark.parametrize("clock", [SystemClock(), FollowedClock()])
async def test_sleep_is_real_whatever_the_speed(clock) -> None:
    if isinstance(clock, FollowedClock):
        clock.follow(Rate(NOW, NOW, 3600))
    before = clock.monotonic()
    await clock.sleep(0.02)
    assert clock.monotonic() - before >= 0.02
