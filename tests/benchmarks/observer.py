"""How good the observed state of charge is: a station without a data link against the simulated truth."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from services.backtest.observer import Errors, Judgement, drawn_by, judge, watch
from services.core.config.load import parse_station
from services.core.config.station import Station
from services.core.observer_fit import GAIN
from tests.benchmarks.figure import Figure

DAYS = 30
START = datetime(2026, 6, 1, tzinfo=UTC)
STEP_S = 120.0
SEEDS = range(1, 21)
"""From the beginning, none left out."""
GOAL_ERROR_PCT = 3.0
GOAL_COVERED = (85.0, 95.0)


def runs(station: Station, errors: Iterable[tuple[int, Errors]]) -> list[Judgement]:
    """A run for each seed and its errors."""
    return [judge(watch(station, START, days=DAYS, seed=seed, errors=wrong, step_s=STEP_S)) for seed, wrong in errors]


def measure() -> list[Figure]:
    """Both figures, over all seeds and houses."""
    sunny = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
    dark = sunny.model_copy(update={"positions": sunny.positions.model_copy(update={"p4": None})})
    found = [run for station in (sunny, dark) for run in runs(station, [(seed, drawn_by(seed)) for seed in SEEDS])]
    # The other reading of "3 % gain error": exactly so much, in every combination of signs, and all else as stated.
    corners = [Errors(1 + p2 * GAIN, 1 + p3 * GAIN, 1.0, 1.0, 1.0, 1.0, 1.0) for p2, p3 in product((-1, 1), repeat=2)]
    bare = runs(dark, enumerate(corners))
    error, covered = mean(run.mean_error_pct for run in found), 100.0 * mean(run.covered for run in found)
    conditions = (
        f"a station without a data link, decided by its own estimate: {DAYS} days of the household trace (21 days, spliced), a decision"
        f" every {STEP_S:g} s, {len(SEEDS)} seeds, each with the shipped panel and without; drawn by each: the meters' gains (s.d. 3 %),"
        f" efficiencies and capacity (2 %), idle draw (15 %), gains and idle draw wandering 0.2 % a day;"
        f" {mean(run.calibrations for run in found) / DAYS * 7:.1f} observed full charges a week;"
        f" over the runs: mean error {low_high(run.mean_error_pct for run in found)} %,"
        f" covered {low_high(100 * run.covered for run in found)} %, mean width {mean(run.mean_width_pct for run in found):.1f} %;"
        f" with gains of exactly 3 %, in either direction, and all else as stated: error {mean(run.mean_error_pct for run in bare):.2f} %,"
        f" covered {100 * mean(run.covered for run in bare):.0f} %"
    )
    low, high = GOAL_COVERED
    return [
        Figure("soc_observer_error", error, "% SoC", None, GOAL_ERROR_PCT, conditions),
        Figure(
            "soc_observer_coverage",
            covered,
            "% of time",
            90.0,
            low,
            f"how often the true state of charge lies within the stated 90 % band; the goal has an upper end, too, {high:g}:"
            f" {'kept' if covered <= high else 'MISSED'}; conditions as for soc_observer_error",
            better="higher",
        ),
    ]


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean."""
    listed = list(values)
    return sum(listed) / len(listed)


def low_high(values: Iterable[float]) -> str:
    """The range, for a person."""
    listed = list(values)
    return f"{min(listed):.1f} to {max(listed):.1f}"
