"""The PI on an interval's energy, and the layout of its duty as blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller.layout import on_battery
from services.controller.pi import carried, control

WATTS = st.floats(0, 2000)


def run(goal_w=100.0, elapsed_s=0.0, avoided_wh=0.0, carry_wh=0.0, rest_s=3600.0, load_w=200.0):
    return control(
        goal_w=goal_w, elapsed_s=elapsed_s, avoided_wh=avoided_wh, carry_wh=carry_wh, rest_s=rest_s, load_w=load_w, gain_p=1.0, gain_i=1.0
    )


def test_a_fresh_interval_asks_for_the_goals_share_of_the_load():
    assert run().duty == pytest.approx(0.5)


def test_a_met_interval_asks_for_nothing_more():
    assert run(elapsed_s=1800, avoided_wh=100, rest_s=1800).duty == 0.0


def test_what_earlier_intervals_owe_is_made_up_for():
    assert run(carry_wh=50).duty == pytest.approx(0.75)
    assert run(carry_wh=-50).duty == pytest.approx(0.25)


@given(WATTS, st.floats(0, 3600), st.floats(-500, 2000), st.floats(-500, 500), st.floats(0, 3600), WATTS)
def test_the_duty_is_a_share_whatever_comes(goal_w, elapsed_s, avoided_wh, carry_wh, rest_s, load_w):
    assert 0.0 <= run(goal_w, elapsed_s, avoided_wh, carry_wh, rest_s, load_w).duty <= 1.0


@given(st.floats(1, 500), st.floats(0, 1800), st.floats(0, 200))
def test_following_the_demand_meets_the_goal_exactly_at_the_intervals_end(goal_w, elapsed_s, avoided_wh):
    rest_s = 3600 - elapsed_s
    demand_w = run(goal_w, elapsed_s, avoided_wh, rest_s=rest_s).demand_w
    assert avoided_wh + demand_w * rest_s / 3600 == pytest.approx(goal_w, abs=1e-6)


@given(st.lists(st.tuples(WATTS, st.floats(0, 1000)), max_size=20), st.floats(0, 100))
def test_the_integral_never_winds_up(intervals, limit_wh):
    carry_wh = 0.0
    for goal_w, avoided_wh in intervals:
        carry_wh = carried(carry_wh, goal_w=goal_w, elapsed_s=3600, avoided_wh=avoided_wh, limit_wh=limit_wh)
        assert abs(carry_wh) <= limit_wh


def blocks(duty, dwell_s, step_s=10):
    """One interval of an hour at a constant load, with the energy fed back."""
    on, given_s, switchings, lengths, since = False, 0.0, 0, [], 0.0
    for t in range(0, 3600, step_s):
        owed = max(0.0, duty * 3600 - given_s)
        wanted = on_battery(now_on=on, duty=min(1.0, owed / (3600 - t)), rest_s=3600 - t, dwell_s=dwell_s, last=True)
        if wanted != on:
            if on:
                lengths.append(t - since)
            on, since, switchings = wanted, t, switchings + 1
        given_s += step_s if on else 0
    return given_s, switchings


@pytest.mark.parametrize("duty", [0.1, 0.3, 0.5, 0.9])
def test_a_duty_becomes_one_block_at_the_intervals_beginning(duty):
    given_s, switchings = blocks(duty, dwell_s=300)
    assert given_s == pytest.approx(duty * 3600, abs=10)
    assert switchings <= 2


def test_a_full_duty_is_one_block_without_an_end():
    assert blocks(1.0, dwell_s=300) == (3600, 1)


def test_less_than_half_a_block_is_left_to_the_next_interval():
    assert blocks(0.03, dwell_s=300) == (0, 0)


def test_a_rest_shorter_than_the_dwell_is_not_worth_switching_off_for():
    assert on_battery(now_on=True, duty=0.0, rest_s=120, dwell_s=300, last=False)
    assert not on_battery(now_on=True, duty=0.0, rest_s=120, dwell_s=300, last=True)
