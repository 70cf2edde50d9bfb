"""The observer against the truth, over simulated days."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.backtest.observer import Errors, Watched, drawn_by, judge, watch
from services.core.config.load import parse_station
from services.core.observer import Estimate

STATION = parse_station((Path(__file__).parents[3] / "config" / "station.yaml").read_text(encoding="utf-8"))
START = datetime(2026, 6, 1, tzinfo=UTC)


def test_with_errors_as_large_as_assumed_the_estimate_stays_near_the_truth_for_nine_days():
    steps = list(watch(STATION, START, days=9, seed=3, errors=drawn_by(3), step_s=120.0))
    found = judge(steps)
    assert found.mean_error_pct < 3.0
    assert found.covered > 0.7
    assert found.calibrations >= 2, "at the start, and again within the week"
    assert found.unknown < 0.05


def test_what_is_observed_full_is_full():
    steps = list(watch(STATION, START, days=9, seed=4, errors=drawn_by(4), step_s=60.0))
    assert [step.true_pct for step in steps if step.full] == pytest.approx([100.0] * sum(step.full for step in steps), abs=0.5)


def test_with_meters_that_are_right_the_estimate_is_right():
    dark = STATION.model_copy(update={"positions": STATION.positions.model_copy(update={"p4": None})})
    steps = [step for step in watch(dark, START, days=3, seed=1, errors=Errors(*[1.0] * 7), step_s=60.0) if step.true_pct < 90.0]
    assert judge(steps).mean_error_pct < 0.5, "near full the estimate errs downwards on purpose"


def test_the_judgement_counts_what_it_says():
    band = Estimate(50.0, 45.0, 55.0)
    found = judge(
        [
            Watched(START, 52.0, band, full=False),
            Watched(START, 60.0, band, full=True),
            Watched(START, 60.0, None, full=True),
            Watched(START, 50.0, band, full=False),
            Watched(START, 50.0, band, full=True),
        ]
    )
    assert (found.mean_error_pct, found.covered, found.mean_width_pct) == pytest.approx((3.0, 0.75, 10.0))
    assert (found.unknown, found.calibrations) == pytest.approx((0.2, 2))
