"""Policies over a trace: the same start for all, gaps that stay gaps, and results that hold what was found."""

import json
from dataclasses import replace
from datetime import timedelta
from math import nan
from pathlib import Path

import pytest

from services.backtest.contest import NAMES, Contest, hold
from services.backtest.events import every
from services.backtest.plots import draw_event, draw_tradeoff
from services.backtest.results import document, write
from services.backtest.score import Interval, Score, summary
from services.backtest.trace import packaged
from services.backtest.tradeoff import Point
from services.core.config.load import parse_station
from services.core.goals import Goal, GoalKind

STATION = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
DAY = packaged().scaled(0.2).first_days(1.2)
EVENTS = every("sun", "09:00", "PT2H", DAY, Goal(GoalKind.PLEDGE, 60.0), STATION.zone)
CONTEST = Contest(STATION, DAY, EVENTS, step_s=30.0)


@pytest.fixture(scope="module")
def held():
    return {name: hold(CONTEST, name) for name in NAMES}


def test_all_policies_begin_the_event_alike_and_end_it_apart(held):
    starts = {name: events[0].score.start_soc_pct for name, events in held.items()}
    assert len({round(soc_pct, 6) for soc_pct in starts.values()}) == 1
    assert held["greedy"][0].score.end_soc_pct < held["one-block"][0].score.end_soc_pct


def test_greedy_overshoots_a_pledge_and_one_block_does_not(held):
    assert held["greedy"][0].score.tracking > 1.0
    assert held["one-block"][0].score.tracking < 0.5


def test_ours_holds_the_pledge(held):
    assert held["ours"][0].score.tracking < 0.1
    assert held["ours"][0].score.violations == 0


def test_decisions_are_kept_with_their_reasons(held):
    told = held["ours"][0].decisions
    assert {one.mode for one in told} == {2, 5}
    assert all(one.reason and one.phase == "ongoing" for one in told)


def test_a_gap_counts_for_nothing_and_puts_the_load_on_the_grid():
    begin = round((EVENTS[0].start + timedelta(minutes=30) - DAY.start).total_seconds() / 60)
    load_w = list(DAY.load_w)
    load_w[begin : begin + 60] = [nan] * 60
    gap = hold(replace(CONTEST, trace=replace(DAY, load_w=load_w)), "greedy")[0]
    assert [one.covered for one in gap.score.intervals] == pytest.approx([0.5, 0.5], abs=0.02)
    middle = EVENTS[0].start + timedelta(minutes=45)
    assert [sample.battery_w for sample in gap.samples if middle <= sample.at < middle + timedelta(minutes=30)] == [0.0] * 30


def test_results_and_pictures_are_written(held, tmp_path):
    summaries = [summary(name, [one.score for one in events]) for name, events in held.items()]
    write(tmp_path / "out", document(summaries, held, {"trace": "packaged"}))
    made = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {one["policy"] for one in made["events"]} == set(NAMES)
    assert len((tmp_path / "out" / "events.csv").read_text().splitlines()) == 1 + len(NAMES)
    draw_event({name: events[0] for name, events in held.items()}, STATION.zone, tmp_path / "event.png")
    points = [Point("ours", 300.0 * (i + 1), 3600.0, 0.1 / (i + 1), 0.1, 5.0 + i, 3) for i in range(3)]
    draw_tradeoff(points, "a title", tmp_path / "tradeoff.svg")
    assert (tmp_path / "event.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "tradeoff.svg").read_text()


def score(avoided_wh, load_wh=(200.0, 200.0), goal=None):
    intervals = tuple(Interval(1.0, load, avoided, load - avoided, 1.0) for load, avoided in zip(load_wh, avoided_wh, strict=True))
    return Score("e", goal or Goal(GoalKind.MINIMIZE), intervals, 4, 100.0, 40.0, 0, 100.0, 220.0)


def test_the_figures_of_a_row_can_be_reckoned_by_hand():
    found = summary("ours", [score((90.0, 110.0)), score((80.0, 120.0))])
    assert (found.worst_median, found.total, found.tracking) == (pytest.approx(0.85), pytest.approx(400 / 440), None)
    assert found.operations == 4


def test_a_pledge_is_judged_by_what_the_load_could_take():
    pledged = score((150.0, 50.0), (200.0, 50.0), Goal(GoalKind.PLEDGE, 150.0))
    assert pledged.tracking == pytest.approx(0.0)
    missed = score((120.0, 50.0), (200.0, 50.0), Goal(GoalKind.PLEDGE, 150.0))
    assert missed.tracking == pytest.approx((0.5 * 30.0**2) ** 0.5 / 150.0)


def test_a_limit_is_judged_by_the_load_above_it():
    held_ = score((120.0, 0.0), (200.0, 60.0), Goal(GoalKind.LIMIT, 80.0))
    assert held_.tracking == pytest.approx(0.0)
