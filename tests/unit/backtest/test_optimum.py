"""The optimum is one: nobody beats it, and where it can be reckoned by hand it agrees."""

import numpy as np
import pytest

from services.backtest.optimum import Idle, Task, maximin, most, with_dwell
from services.backtest.policies import POLICIES
from services.backtest.published import play

HOURS = 4


def task(load_w, *, available_wh=921.6, idle=Idle.ALWAYS, pv_w=None, idle_w=9.0, inverter_w=1800.0):
    load_w = np.asarray(load_w, dtype=float)
    return Task(load_w, 60.0, 3600.0, available_wh, 921.6, inverter_w, idle_w, 0.85, 0.9, pv_w, idle)


def uneven(seed=3):
    return np.abs(np.random.default_rng(seed).normal(300.0, 200.0, HOURS * 60)) + 20.0


def test_with_load_enough_every_hour_gets_the_same_share_of_what_idle_leaves():
    best = maximin(task([400.0] * 240))
    assert best.objective_wh == pytest.approx((921.6 - 4 * 9.0) * 0.85 / 4)
    assert best.intervals_wh == pytest.approx([best.objective_wh] * 4)


def test_an_hour_of_little_load_bounds_the_least_but_not_the_whole():
    load_w = [400.0] * 180 + [50.0] * 60
    assert maximin(task(load_w)).objective_wh == pytest.approx(50.0)
    assert most(task(load_w)).total_wh == pytest.approx((921.6 - 4 * 9.0) * 0.85)


def test_idle_charged_only_on_battery_leaves_more_and_prefers_high_loads():
    load_w = [100.0, 900.0] * 120
    always, on_battery = (most(task(load_w, idle=idle)).total_wh for idle in Idle)
    assert on_battery > always
    # At 900 W each Wh costs 1/0.85 + 9/900 of the battery.
    assert on_battery == pytest.approx(921.6 / (1 / 0.85 + 0.01))


def test_nothing_is_carried_above_the_inverters_rating():
    best = most(task([300.0] * 120 + [2000.0] * 120))
    assert best.on[120:].sum() == 0.0
    assert best.intervals_wh[2:] == pytest.approx([0.0, 0.0])


def test_the_sun_of_the_event_counts_once_it_shines():
    pv_w = np.array([0.0] * 180 + [200.0] * 60)
    dark, sunny = (most(task([300.0] * 240, pv_w=pv)).total_wh for pv in (None, pv_w))
    assert sunny - dark == pytest.approx(200.0 * 0.9 * 0.85)


def test_a_battery_that_idle_alone_exhausts_promises_nothing():
    best = maximin(task([300.0] * 240, available_wh=20.0))
    assert (best.objective_wh, best.total_wh, best.solved) == (0.0, 0.0, True)


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_beats_the_optimum(name):
    asked = task(uneven(), idle=Idle.ON_BATTERY)
    played = play(POLICIES[name], asked, 300.0)
    assert played.intervals_wh.min() <= maximin(asked).objective_wh + 1e-6
    assert played.intervals_wh.sum() <= most(asked).total_wh + 1e-6


def test_a_dwell_costs_something_and_is_kept():
    asked = task(uneven()[:120])
    free, held = maximin(asked), with_dwell(asked, 600.0, limit_s=3.0)
    assert held.objective_wh <= free.objective_wh + 1e-6
    assert held.bound_wh >= held.objective_wh - 1e-6
    on = held.on.round().astype(int)
    edges = np.flatnonzero(np.diff(on)) + 1
    assert all(length >= 10 for length in np.diff(edges))


def test_so_many_operations_and_no_more():
    held = with_dwell(task(uneven()[:120]), 300.0, limit_s=3.0, most_operations=4)
    on = held.on.round().astype(int)
    assert np.abs(np.diff(on)).sum() + on[0] <= 4
