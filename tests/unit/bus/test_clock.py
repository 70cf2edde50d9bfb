"""The two-faced clock."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus.clock import BUILT, LATEST, ClockUnknown, FollowedClock, ManualClock, Rate, SystemClock
from services.bus.wall_clock import last_written, synchronised

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


def test_a_clock_whose_battery_died_in_the_future_knows_no_time() -> None:
    assert not SystemClock(wall=lambda: LATEST).known
    assert SystemClock(wall=lambda: LATEST - timedelta(days=1)).known


def test_a_clock_before_what_was_written_is_not_believed_until_it_has_passed_it() -> None:
    wall = [NOW - timedelta(hours=9)]
    clock = SystemClock(wall=lambda: wall[0], not_before=NOW)
    assert not clock.known
    with pytest.raises(ClockUnknown, match=r"it says 2027-07-01 07:00 UTC, but state was written here at 2027-07-01 16:00"):
        clock.now()
    wall[0] = NOW
    assert clock.known
    wall[0] = NOW - timedelta(hours=1)  # a time server's step while we run is another matter
    assert clock.now() == NOW - timedelta(hours=1)


def test_a_clock_that_a_time_service_keeps_is_believed_over_what_was_written() -> None:
    kept = [False]
    clock = SystemClock(wall=lambda: NOW, not_before=NOW + timedelta(days=3000), synchronised=lambda: kept[0])
    assert not clock.known
    kept[0] = True
    assert clock.now() == NOW


def test_what_was_written_last_is_found(tmp_path) -> None:
    assert last_written(tmp_path) is None
    for service, day in (("controller", 3), ("recorder", 5)):
        (tmp_path / service).mkdir()
        (tmp_path / service / "state").touch()
        os.utime(tmp_path / service / "state", (86400 * day,) * 2)
    assert last_written(tmp_path) == datetime(1970, 1, 6, tzinfo=UTC)


def test_a_file_that_its_service_replaces_while_we_look_stops_nobody(tmp_path, monkeypatch) -> None:
    (tmp_path / "controller").mkdir()
    for name in ("state", ".state.new"):
        (tmp_path / "controller" / name).touch()
        os.utime(tmp_path / "controller" / name, (86400, 86400))
    stat = Path.stat

    def replaced_meanwhile(path: Path, **options: bool) -> os.stat_result:
        found = stat(path, **options)
        if path.name == ".state.new":
            path.unlink()
        return found

    monkeypatch.setattr(Path, "stat", replaced_meanwhile)
    (tmp_path / "controller" / "gone").symlink_to("nowhere")
    assert last_written(tmp_path) == datetime(1970, 1, 2, tzinfo=UTC)


def test_the_kernel_says_whether_the_clock_is_kept() -> None:
    assert synchronised() in (True, False)


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
