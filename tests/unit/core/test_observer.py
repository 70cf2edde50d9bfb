"""The observer of the state of charge: what it makes of flows, of the ends, of gaps, and of a station's own word."""

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.battery import Battery
from services.core.observer import FLOAT_S, Inputs, Observer, cautious_pct, estimate, float_w, update
from services.core.observer_fit import Fit, Tally, certain, correct, deviation_wh

BOX = Battery(
    capacity_wh=1000.0,
    floor_pct=20.0,
    inverter_w=1000.0,
    charge_w=500.0,
    idle_w=10.0,
    discharge_efficiency=0.8,
    charge_efficiency=0.9,
)
REST = Inputs(p2_w=0.0, p3_w=0.0, p4_w=0.0, p2_on=False, output_on=True)
CHARGING = REST._replace(p2_w=500.0, p2_on=True)
TAPERING = CHARGING._replace(p2_w=100.0)
FLOATING = CHARGING._replace(p2_w=11.0)
CARRYING = REST._replace(p3_w=200.0)
HOUR = 3600.0


def known(soc_pct=50.0):
    return update(Observer(), REST._replace(report_pct=soc_pct), 0.0, BOX)


def after(state, *stretches, step_s=60.0):
    """The state after (inputs, seconds) one by one."""
    for inputs, seconds in stretches:
        for _ in range(round(seconds / step_s)):
            state = update(state, inputs, step_s, BOX)
    return state


def seen_now(state):
    seen = estimate(state, BOX)
    assert seen is not None
    return seen


def pct(state):
    return seen_now(state).soc_pct


def width(state):
    _, low, high = seen_now(state)
    return high - low


def test_before_anything_was_seen_nothing_is_known():
    state = after(Observer(), (CARRYING, HOUR))
    assert estimate(state, BOX) is None
    assert cautious_pct(state, BOX) is None


@pytest.mark.parametrize(
    ("inputs", "moved_pct"),
    [
        (REST, -1.0),  # 10 W of idle draw, of 1000 Wh
        (REST._replace(output_on=False), 0.0),
        (CARRYING, -1.0 - 25.0),  # 200 W / 0.8
        (REST._replace(p4_w=100.0), -1.0 + 9.0),  # 100 W x 0.9
        (CHARGING._replace(p2_w=300.0), -1.0 + 27.0),
    ],
)
def test_an_hour_of_each_flow_moves_the_estimate_by_its_energy_at_the_cells(inputs, moved_pct):
    assert pct(after(known(), (inputs, HOUR))) - 50.0 == pytest.approx(moved_pct, abs=0.01)


def test_the_band_widens_with_what_flows_and_with_time():
    start = known()
    rested, carried = after(start, (REST, HOUR)), after(start, (CARRYING, HOUR))
    assert width(start) < width(rested) < width(carried)
    _, low, high = seen_now(carried)
    assert low < pct(carried) < high


def test_full_is_seen_where_the_charge_falls_to_the_float_level():
    state = after(known(70.0), (CHARGING, 1800), (TAPERING, 1800), (FLOATING, FLOAT_S + 60))
    assert state.full
    assert state.since_full_s == 0.0
    assert cautious_pct(state, BOX) == 100.0
    assert width(state) < 1.0
    off = after(state, (REST, 600))
    assert not off.full
    assert off.since_full_s == 600.0
    assert 99.0 < (cautious_pct(off, BOX) or 0.0) < 100.0


def test_a_charge_that_is_cut_off_says_nothing():
    state = after(known(50.0), (CHARGING, 600), (CHARGING._replace(p2_w=0.0), 2 * HOUR))
    assert not state.full
    assert pct(state) < 60.0


def test_a_battery_that_was_full_already_floats_at_once():
    assert after(Observer(), (FLOATING, FLOAT_S + 60)).full
    assert after(known(98.0), (FLOATING, FLOAT_S + 60)).full
    assert not after(known(50.0), (FLOATING, FLOAT_S + 60)).full, "half full by all that is known: the charger may be refusing"
    assert not after(Observer(), (CHARGING._replace(p2_w=0.0), HOUR)).full, "it does not even feed itself: switched off"


def test_the_float_level_lies_above_the_idle_draw_and_below_the_end_of_the_taper():
    assert BOX.idle_w / BOX.charge_efficiency < float_w(BOX) < 0.05 * BOX.charge_w + BOX.idle_w


def test_empty_is_seen_where_the_output_collapses_under_load():
    low = after(known(18.0), (CARRYING, 1200))
    empty = after(low, (CARRYING._replace(p3_w=0.0, output_on=False), 60))
    assert pct(empty) < 3.0
    assert width(empty) < width(low)


@pytest.mark.parametrize(
    ("soc_pct", "load_w"),
    [(70.0, 200.0), (16.0, 3.0), (16.0, 990.0)],
    ids=["by far not empty", "nothing was carried: a button", "an overload"],
)
def test_an_output_that_goes_off_for_another_reason_is_not_taken_for_empty(soc_pct, load_w):
    state = after(known(soc_pct), (CARRYING._replace(p3_w=load_w), 60))
    gone = after(state, (REST._replace(output_on=False), 60))
    assert pct(gone) == pytest.approx(pct(state), abs=0.1)


def test_a_correction_teaches_the_factors_so_that_the_next_week_drifts_less():
    """P2 reads 5 % low: each cycle the box gets more than is seen."""
    state = after(known(95.0), (TAPERING, 600), (FLOATING, 600))
    misses = []
    for _ in range(4):
        state = after(state, *[(CARRYING, 1.6 * HOUR), (CHARGING, 4000)] * 3, (TAPERING, 300))
        misses.append(abs(state.stored_wh - BOX.capacity_wh))
        state = after(state, (FLOATING, 600), (REST, 60))
    assert misses[0] > 10.0
    assert misses[-1] < 0.3 * misses[0]


def test_a_gap_widens_the_band_and_is_not_taken_for_zero():
    carried = after(known(80.0), (CARRYING, 600))
    blind = after(carried, (CARRYING._replace(p3_w=None), HOUR))
    idle = after(carried, (REST, HOUR))
    assert pct(blind) < pct(idle) - 10.0
    assert width(blind) > width(after(carried, (CARRYING, HOUR))) + 20.0


def test_a_relay_that_is_off_needs_no_meter():
    seen, unread = after(known(), (REST, HOUR)), after(known(), (REST._replace(p2_w=None), HOUR))
    assert width(unread) == width(seen)


def test_after_a_long_silence_nothing_is_known_any_more():
    state = update(known(), Inputs(None, None, None, None, None), 30 * 86400.0, BOX)
    assert estimate(state, BOX) is None


def test_a_report_within_the_band_narrows_it():
    drifted = after(known(80.0), (CARRYING, 2 * HOUR))
    told = update(drifted, CARRYING._replace(report_pct=pct(drifted) + 2.0), 1.0, BOX)
    assert width(told) < width(drifted)
    assert pct(drifted) < pct(told) < pct(drifted) + 2.0


def test_a_report_far_outside_the_band_is_doubted_first_and_followed_when_it_stays():
    state = after(known(80.0), (REST._replace(report_pct=79.0), 2 * HOUR))
    wrong = REST._replace(report_pct=30.0)
    state = after(state, (wrong, HOUR))
    assert state.doubt_s > 0.0
    assert state.reported_pct == 30.0
    assert pct(state) > 70.0
    state = after(state, (wrong, 1.5 * HOUR))
    assert state.doubt_s == 0.0
    assert pct(state) == pytest.approx(30.0, abs=1.0)


powers = st.one_of(st.none(), st.floats(-1e3, 1e300), st.sampled_from([0.0, 11.0, 500.0]))
inputs = st.builds(
    Inputs, powers, powers, powers, *[st.sampled_from([None, True, False])] * 2, report_pct=st.one_of(st.none(), st.floats(0, 100))
)


@given(st.lists(st.tuples(inputs, st.floats(-100, 1e7)), max_size=12))
def test_whatever_is_read_the_state_stays_finite_and_the_band_in_order(stretches):
    state = Observer()
    for read, dt_s in stretches:
        state = update(state, read, dt_s, BOX)
        numbers = [*state.tally, *state.fit.factors, *(v for row in state.fit.covariance for v in row), state.stored_wh or 0.0]
        assert all(isfinite(number) for number in numbers)
        if (seen := estimate(state, BOX)) is not None:
            assert 0.0 <= seen.low <= seen.soc_pct <= seen.high <= 100.0


@given(st.floats(0, 5000), st.floats(0, 5000), st.floats(0, 5000), st.floats(0, 2000), st.floats(-200, 200), st.floats(0.1, 50))
def test_a_correction_never_makes_the_charge_less_certain_than_what_was_seen(grid, sun, load, idle, surprise, noise):
    tally = Tally(grid, sun, load, idle, 0.0, 86400.0)
    fit, shift = correct(certain(Fit(), 5.0), tally, surprise, noise)
    assert deviation_wh(fit, Tally()) <= noise * (1 + 1e-6)
    assert abs(shift) <= abs(surprise) * (1 + 1e-9)


def test_a_wild_surprise_moves_the_charge_but_teaches_nothing():
    fit, shift = correct(certain(Fit(), 5.0), Tally(grid_wh=100.0, since_s=3600.0), 400.0, 2.0)
    assert shift == 400.0
    assert fit.factors == Fit().factors


def test_time_that_runs_backwards_changes_nothing():
    state = known()
    assert update(state, CARRYING, -5.0, BOX) == state
