"""The PI on an interval's energy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
