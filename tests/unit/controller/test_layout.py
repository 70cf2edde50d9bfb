"""From what is owed to an interval to blocks on the relay: exact where it can be, over the border where it must."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller.layout import on_battery
from services.controller.pi import control

DWELL_S = 300.0
STEP_S = 10.0
QUARTER_S = 900.0


def ask(now_on=False, owed_wh=50.0, next_wh=50.0, load_w=200.0, elapsed_s=0.0, rest_s=3600.0, **changes):
    rest = {"dwell_s": DWELL_S, "last": False} | changes
    return on_battery(now_on=now_on, owed_wh=owed_wh, next_wh=next_wh, load_w=load_w, elapsed_s=elapsed_s, rest_s=rest_s, **rest)


def event(load_at, goal_w, interval_s, intervals, **changes):
    """What each interval was given (as a mean power), and the switchings, with the dwell kept as the guard does."""
    on, since_s, switchings, given_w = False, -DWELL_S, 0, []
    for i in range(intervals):
        given_wh = 0.0
        for k in range(int(interval_s / STEP_S)):
            into_s = k * STEP_S
            at_s, load_w = i * interval_s + into_s, load_at(i * interval_s + into_s)
            rest_s = interval_s - into_s
            demand = control(
                goal_w=goal_w, elapsed_s=into_s, avoided_wh=given_wh, carry_wh=0.0, rest_s=rest_s, load_w=load_w, gain_p=1.0, gain_i=1.0
            ).demand_w
            wish = ask(
                on,
                demand * rest_s / 3600.0,
                goal_w * interval_s / 3600.0,
                load_w,
                into_s,
                rest_s,
                last=i == intervals - 1,
                **changes,
            )
            if wish != on and at_s - since_s >= DWELL_S:
                on, since_s, switchings = wish, at_s, switchings + 1
            given_wh += load_w * STEP_S / 3600.0 if on else 0.0
        given_w.append(given_wh * 3600.0 / interval_s)
    return given_w, switchings + on


@pytest.mark.parametrize("duty", [0.15, 0.3, 0.5, 0.9])
def test_an_hours_duty_is_one_block_that_ends_when_it_is_met(duty):
    given_w, switchings = event(lambda _: 200.0, duty * 200.0, 3600.0, 4)
    assert given_w == pytest.approx([duty * 200.0] * 4, abs=1.0)
    assert switchings <= 8


def test_a_full_duty_is_one_block_without_an_end():
    assert event(lambda _: 200.0, 200.0, 3600.0, 4) == (pytest.approx([200.0] * 4), 2)


def test_blocks_shorter_than_the_dwell_serve_two_intervals_and_switch_half_as_often():
    # 30 % of a quarter are 270 s, less than the dwell.
    given_w, switchings = event(lambda _: 200.0, 60.0, QUARTER_S, 16)
    assert given_w == pytest.approx([60.0] * 16, abs=3.0)
    assert switchings <= 16


def test_a_load_too_high_for_two_intervals_is_split_evenly_between_them():
    given_w, _ = event(lambda _: 500.0, 60.0, QUARTER_S, 4)
    assert given_w == pytest.approx([500.0 * 150.0 / 900.0] * 4, abs=6.0)


def test_where_one_dwell_gives_more_than_twice_too_much_the_block_waits_for_the_load_to_fall():
    given_w, _ = event(lambda at_s: 2000.0 if at_s < 1200.0 else 100.0, 60.0, QUARTER_S, 4)
    assert given_w[0] == 0.0
    assert given_w[1:3] == pytest.approx([60.0, 60.0], abs=1.0)


def test_stations_wait_for_their_own_share_of_the_time_there_is():
    starts = []
    for phase in (0.0, 0.25, 0.5, 1.0):
        for rest_s in range(3600, 0, -10):
            if ask(owed_wh=200.0 * 0.15, load_w=200.0, elapsed_s=3600.0 - rest_s, rest_s=float(rest_s), phase=phase):
                starts.append(3600 - rest_s)
                break
    assert starts == [0, 360, 720, 1440]


def test_stations_that_need_much_of_the_interval_are_spread_over_minutes_and_those_that_need_most_of_it_do_not_wait():
    def begins(owed_wh, phase):
        return next(
            3600 - rest_s
            for rest_s in range(3600, 0, -10)
            if ask(owed_wh=owed_wh, load_w=200.0, elapsed_s=3600.0 - rest_s, rest_s=float(rest_s), phase=phase)
        )

    assert [begins(53.0, phase) for phase in (0.0, 0.5, 1.0)] == [0, 300, 600]
    assert [begins(150.0, phase) for phase in (0.0, 0.5, 1.0)] == [0, 0, 0]


def test_a_load_that_the_inverter_can_not_always_take_over_does_not_wait_for_the_border():
    assert not ask(owed_wh=20.0, load_w=400.0, rest_s=1800.0, elapsed_s=1800.0)
    assert ask(owed_wh=20.0, load_w=400.0, rest_s=1800.0, elapsed_s=1800.0, scarce=True)
    # One dwell of it would give three times what is owed.
    assert not ask(owed_wh=20.0, load_w=720.0, rest_s=1800.0, elapsed_s=1800.0, scarce=True)


def test_a_bound_on_the_import_uses_the_grid_first():
    assert not ask(late=True)
    assert ask(owed_wh=50.0, load_w=200.0, elapsed_s=2700.0, rest_s=900.0, late=True)


def test_a_short_rest_is_not_worth_switching_off_for_where_the_next_interval_needs_it_all():
    assert ask(now_on=True, owed_wh=0.0, next_wh=190.0, elapsed_s=3540.0, rest_s=60.0)
    assert not ask(now_on=True, owed_wh=0.0, next_wh=50.0, elapsed_s=3540.0, rest_s=60.0)
    assert not ask(now_on=True, owed_wh=0.0, next_wh=190.0, elapsed_s=3540.0, rest_s=60.0, last=True)


@given(
    st.booleans(), st.floats(-500, 500), st.floats(0, 500), st.floats(0, 3000), st.floats(0, 3600), st.floats(0, 3600),
    st.floats(0, 3600), st.booleans(), st.floats(0, 1), st.booleans(),
)  # fmt: skip
def test_nothing_owed_is_never_begun_and_all_of_the_rest_owed_is_never_ended(
    on, owed, after, load, elapsed, rest, dwell, last, phase, late
):
    wish = ask(on, owed, after, load, elapsed, rest, dwell_s=dwell, last=last, phase=phase, late=late)
    if owed <= 0.0 and not on:
        assert not wish
    if owed > 0.0 and on:
        assert wish
    if last and load > 0.0 and 0.0 < owed >= load * rest / 3600.0 * (1 + 1e-9):
        assert wish
