"""The plain policies do what their names say, and the published figures come out near enough."""

import numpy as np
import pytest

from services.backtest.optimum import Idle, Task, maximin, most
from services.backtest.policies import POLICIES
from services.backtest.published import play
from services.backtest.score import quantile
from services.backtest.windows import cut, one_minute


def task(load_w, available_wh=921.6):
    return Task(np.asarray(load_w, dtype=float), 60.0, 3600.0, available_wh, 921.6, 1800.0, 9.0, 0.85, idle=Idle.ON_BATTERY)


def test_greedy_gives_all_at_once_and_then_nothing():
    played = play(POLICIES["greedy"], task([400.0] * 240), 300.0)
    assert played.intervals_wh[0] == pytest.approx(400.0)
    assert played.intervals_wh[-1] == 0.0


def test_sigma_delta_is_even_and_switches_often():
    played = play(POLICIES["sigma-delta"], task([400.0] * 240), 300.0)
    assert played.intervals_wh.min() >= 0.8 * played.intervals_wh.max()
    assert played.operations >= 16


def test_one_block_switches_twice_an_hour_and_is_even():
    played = play(POLICIES["one-block"], task([400.0] * 240), 300.0)
    assert played.operations <= 8
    assert played.intervals_wh.min() >= 0.95 * played.intervals_wh.max()


@pytest.mark.parametrize(
    ("name", "dwell_s", "median", "p10", "energy"),
    [("greedy", 300.0, 0.0, 0.0, 0.988), ("sigma-delta", 300.0, 0.933, 0.809, 0.953), ("one-block", 300.0, 0.973, 0.917, 0.964)],
)
def test_the_published_figures_are_found_again_within_a_few_hundredths(name, dwell_s, median, p10, energy):
    windows = cut(one_minute())
    assert len(windows) == 142
    tasks = [task(window.load_w) for window in windows[::4]]
    shares = []
    given = possible = 0.0
    for one in tasks:
        played = play(POLICIES[name], one, dwell_s)
        shares.append(played.intervals_wh.min() / maximin(one).objective_wh)
        given += played.intervals_wh.sum()
        possible += most(one).total_wh
    assert quantile(shares, 0.5) == pytest.approx(median, abs=0.03)
    assert quantile(shares, 0.1) == pytest.approx(p10, abs=0.06)
    assert given / possible == pytest.approx(energy, abs=0.02)
