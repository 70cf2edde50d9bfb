"""Station time never goes back and never starts before the wall clock, whatever happened to the simulator."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.bus.clock import Rate
from services.simulator.lease import Lease
from services.simulator.master_clock import MasterClock
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.state import BadState, Saved, SavedRate, load, resume, save, save_initial

# A loaded machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

WALL = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLANT = PlantState(stored_wh=500.0)


def saved(*, ago_s: float = 10.0, speed: float = 60.0, ran_s: float = 100.0) -> Saved:
    """A simulator that ran for `ran_s` and stopped `ago_s` before WALL."""
    stopped = WALL - timedelta(seconds=ago_s)
    began = stopped - timedelta(seconds=ran_s)
    rate = Rate(began, began, speed)
    return Saved(
        station_time=rate.at(stopped),
        plant=PLANT.to_dict(),
        saved_wall=stopped,
        rate=SavedRate(epoch_wall=began, epoch_station=began, speed=speed),
    )


def test_a_new_simulator_starts_at_the_wall_clock():
    assert resume(None, WALL, 60.0).rate == Rate(WALL, WALL, 60.0)


def test_after_a_short_pause_time_flows_on_with_the_same_epochs():
    before = saved(ago_s=59.0)
    resumed = resume(before, WALL, 60.0)
    assert before.rate is not None
    assert (resumed.rate.epoch_wall, resumed.rate.epoch_station) == (before.rate.epoch_wall, before.rate.epoch_station)
    assert resumed.house_since == before.station_time


def test_after_a_long_pause_time_goes_on_from_where_it_stopped():
    before = saved(ago_s=61.0)
    resumed = resume(before, WALL, 60.0)
    assert resumed.rate.at(WALL) == before.station_time == resumed.house_since


def test_a_changed_speed_takes_over_without_a_jump():
    before = saved(ago_s=10.0, speed=60.0)
    resumed = resume(before, WALL, 1.0)
    assert resumed.rate.speed == 1.0
    assert resumed.rate.at(WALL) == before.station_time + timedelta(seconds=600)


@unhurried
@given(st.floats(-1e6, 1e6), st.floats(1, 3600), st.floats(0, 1e5), st.floats(1, 3600))
def test_time_never_goes_back_and_is_never_before_the_wall_clock(ago_s: float, speed: float, ran_s: float, new_speed: float):
    before = saved(ago_s=ago_s, speed=speed, ran_s=ran_s)
    resumed = resume(before, WALL, new_speed)
    assert resumed.rate.at(WALL) >= before.station_time
    assert resumed.rate.at(WALL) >= WALL
    assert resumed.house_since <= resumed.rate.at(WALL)


def test_a_station_time_that_fell_behind_the_wall_clock_catches_up_at_a_restart():
    # The wall clock had been set an hour ahead while it ran.
    stopped = WALL - timedelta(seconds=10)
    behind = stopped - timedelta(hours=1)
    rate = SavedRate(epoch_wall=stopped, epoch_station=behind, speed=1.0)
    before = Saved(station_time=behind, plant=PLANT.to_dict(), saved_wall=stopped, rate=rate)
    assert resume(before, WALL, 1.0).rate == Rate(WALL, WALL, 1.0)


def test_a_seeded_house_starts_from_its_last_state(tmp_path: Path):
    folder = tmp_path / "simulator"
    save_initial(folder, PLANT, WALL + timedelta(hours=1))
    found = load(folder)
    assert found is not None
    assert found.plant_state() == PLANT
    assert resume(found, WALL, 60.0).rate == Rate(WALL, WALL + timedelta(hours=1), 60.0)


def test_a_seed_from_the_past_starts_at_the_wall_clock(tmp_path: Path):
    save_initial(tmp_path, PLANT, WALL - timedelta(minutes=1))
    assert resume(load(tmp_path), WALL, 60.0).rate == Rate(WALL, WALL, 60.0)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path):
    state = PlantState.initial(PlantParameters(1152, 1800, 700, 9, 0.85, 0.93))._replace(return_in_s=0.25, tripped=True, p1_wh=1 / 3)
    before = saved().model_copy(update={"plant": state.to_dict(), "ac_output_on": False})
    assert load(tmp_path) is None
    save(tmp_path, before)
    assert load(tmp_path) == before


@pytest.mark.parametrize("text", ["", "{", "{}", '{"station_time":"2026-01-01T00:00:00Z","plant":{"stored":1}}', "\u00ff"])
def test_a_spoilt_file_is_named(tmp_path: Path, text: str):
    (tmp_path / "state.json").write_text(text, encoding="latin-1")
    with pytest.raises(BadState, match=r"state\.json"):
        load(tmp_path)


class Wall:
    """A wall clock and a monotonic one, moved by hand."""

    def __init__(self) -> None:
        self.now = WALL
        self.real_s = 0.0

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.real_s += seconds


def test_the_clock_runs_at_its_speed_and_keeps_its_epochs():
    wall = Wall()
    clock = MasterClock(Rate(WALL, WALL, 60.0), wall=lambda: wall.now, monotonic=lambda: wall.real_s)
    before = clock.rate()
    wall.wait(10.0)
    assert clock.now() == WALL + timedelta(minutes=10)
    assert clock.rate() == before


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_wall_clock_that_is_set_does_not_move_station_time(step_s: float):
    wall = Wall()
    clock = MasterClock(Rate(WALL, WALL, 60.0), wall=lambda: wall.now, monotonic=lambda: wall.real_s)
    wall.wait(10.0)
    wall.now += timedelta(seconds=step_s)
    assert clock.now() == WALL + timedelta(minutes=10)
    assert clock.rate().at(wall.now) == clock.now()


def test_a_lease_runs_out_unless_renewed():
    wall = Wall()
    lease = Lease(120.0, monotonic=lambda: wall.real_s)
    wall.wait(100.0)
    lease.renew()
    wall.wait(119.0)
    assert not lease.over
    lease.renew(10.0)
    wall.wait(11.0)
    assert lease.over


def test_without_a_term_it_never_runs_out():
    lease = Lease(None)
    lease.renew(0.0)
    assert not lease.over
