"""How the battery's energy is shared out over an event's settlement intervals."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller.model import Interval
from services.controller.share import RELIED_UPON, level_w, relied_upon, worst_w
from tests.unit.controller.conftest import NOW

HOUR = 3600.0
WH = st.floats(0, 5000)
WATTS = st.floats(0, 2000)


def share(available_wh=600.0, given_wh=0.0, elapsed_s=0.0, rest_s=HOUR, later_s=3 * HOUR, worst=None, **seen):
    return level_w(available_wh=available_wh, given_wh=given_wh, elapsed_s=elapsed_s, rest_s=rest_s, later_s=later_s, worst_w=worst, **seen)


def test_without_a_poor_interval_every_hour_gets_the_same():
    assert share() == pytest.approx(150)
    assert share(450, later_s=2 * HOUR) == pytest.approx(150)


def test_what_the_interval_was_given_counts_as_its_own():
    assert share(500, given_wh=100, elapsed_s=1800, rest_s=1800) == pytest.approx(150)


def test_after_a_poor_interval_no_more_than_that_is_held_back():
    assert share(500, later_s=2 * HOUR, worst=60) == pytest.approx(500 - 2 * 60)


def test_a_poor_interval_above_the_even_level_changes_nothing():
    assert share(worst=400) == share()


@given(WH, st.lists(WATTS, min_size=1, max_size=6))
def test_an_event_that_follows_the_level_uses_up_the_battery_or_carries_all_the_load(available_wh, loads_w):
    left_wh, worst = available_wh, None
    given = []
    for i, load_w in enumerate(loads_w):
        level = share(left_wh, later_s=(len(loads_w) - 1 - i) * HOUR, worst=worst)
        given.append(min(level, load_w))
        left_wh -= given[-1]
        if load_w <= level:
            worst = min(worst, load_w) if worst is not None else load_w
    assert left_wh >= -1e-6
    # The worst hour is that of the optimum with perfect foresight, which is the even level or the lowest load.
    assert min(given) >= min(available_wh / len(loads_w), *loads_w) - 1e-6
    assert left_wh <= 1e-6 or given[-1] == loads_w[-1]


@given(WH, WH, st.floats(0, HOUR), st.floats(0, HOUR), st.floats(0, 4 * HOUR), st.none() | WATTS)
def test_the_level_never_promises_more_than_there_is(available_wh, given_wh, elapsed_s, rest_s, later_s, worst):
    level = share(available_wh, given_wh, elapsed_s, rest_s, later_s, worst)
    assert 0.0 <= level * (elapsed_s + rest_s) / HOUR <= available_wh + given_wh + 1e-6


def test_a_high_load_is_relied_upon_to_stay_and_a_low_one_is_used_while_it_is_there():
    assert share(load_w=1000.0) == pytest.approx(share())
    assert share(load_w=160.0) == pytest.approx(600 - 3 * 0.5 * 150)
    assert share(load_w=160.0, worst=40) == pytest.approx(600 - 3 * 40)


def test_what_is_kept_for_later_hours_is_a_share_of_the_whole_events_even_level():
    # The first hour took 330 of 600 Wh: no more than half the even level is left, and all three hours get that.
    assert share(270, later_s=2 * HOUR, load_w=160.0, earlier_wh=330.0, earlier_s=HOUR) == pytest.approx(600 - 330 - 2 * 75)
    assert share(225, later_s=2 * HOUR, load_w=160.0, earlier_wh=375.0, earlier_s=HOUR) == pytest.approx(75)


@given(WH, st.lists(st.floats(0.1, 2000), min_size=2, max_size=6))
def test_whatever_the_load_seems_an_hour_is_kept_its_part_or_carries_all_its_load(available_wh, loads_w):
    left_wh, given, count = available_wh, [], len(loads_w)
    for i, load_w in enumerate(loads_w):
        level = share(left_wh, later_s=(count - 1 - i) * HOUR, load_w=load_w, earlier_wh=sum(given), earlier_s=i * HOUR)
        given.append(min(level, load_w))
        left_wh -= given[-1]
    assert left_wh >= -1e-6
    for got, load_w in zip(given, loads_w, strict=True):
        assert got >= min(load_w, 0.5 * available_wh / count) - 1e-6


@given(st.floats(0, 5000), st.floats(0, 5000), st.floats(0, 2000))
def test_more_load_is_never_relied_upon_less(load_w, more_w, even_w):
    shares = [share for _, share in RELIED_UPON]
    assert min(shares) <= relied_upon(load_w, even_w) <= relied_upon(load_w + more_w, even_w) + 1e-9 <= max(shares) + 1e-9


def over(avoided_wh, load_wh, elapsed_s=HOUR, worst=None):
    return Interval("e1", NOW, NOW + timedelta(hours=1), 150.0, 0.0, elapsed_s, avoided_wh, load_wh - avoided_wh, load_wh, worst)


def test_only_an_interval_whose_load_was_all_carried_is_one_that_the_load_bound():
    assert worst_w(over(60, 60)) == pytest.approx(60)
    assert worst_w(over(60, 200)) is None
    assert worst_w(over(60, 60, worst=40)) == 40
    assert worst_w(over(60, 200, worst=40)) == 40


def test_an_interval_of_which_little_is_known_says_nothing():
    assert worst_w(over(2, 2, elapsed_s=300)) is None
