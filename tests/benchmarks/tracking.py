"""How well a pledge is held in each settlement interval, beside plain policies, and the trade-off of error against operations."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from pathlib import Path

from services.backtest import field, tradeoff, trial
from services.backtest.contest import NAMES
from services.backtest.plots import draw_tradeoff
from services.backtest.trial import Result
from services.backtest.windows import Window, cut, held_out, one_minute, some
from services.core.config.station import Station
from tests.benchmarks.control import shipped
from tests.benchmarks.figure import Figure
from tests.benchmarks.progress import line

CURVE_WINDOWS = 24
HOUR_S, QUARTER_S = 3600.0, 900.0
CURVE_DWELLS_S = (60.0, 180.0, 300.0, 900.0)


def equal_operations(points: Sequence[tradeoff.Point], operations: float) -> float | None:
    """The error of a curve at `operations`, between its points (both on a logarithm); None outside of them."""
    for left, right in pairwise(sorted(points, key=lambda point: point.operations)):
        if left.operations <= operations <= right.operations and left.operations < right.operations:
            share = log(operations / left.operations) / log(right.operations / left.operations)
            return exp(log(left.error) + share * (log(right.error) - log(left.error)))
    return None


@dataclass(frozen=True, slots=True)
class Tracked:
    """Every policy over all windows at the shipped dwell."""

    points: Mapping[str, tradeoff.Point]
    parts: str
    """Ours over parts of the windows."""


def at(station: Station, interval_s: float) -> Tracked:
    """Settled every `interval_s`."""
    rows = one_minute()
    windows = cut(rows)
    changed = tradeoff.with_limits(station, station.limits.dwell_s, interval_s)
    asked = field.Field(windows, changed, trial.memories(rows, windows, changed), tradeoff.PLEDGED_SHARE)
    found = field.play(asked, NAMES, line(f"tracking at {interval_s / 60:g} min"))
    can_w = trial.task(windows[0], changed).even_w
    parts: dict[str, Callable[[Window], bool]] = {
        "the even days, by which its constants were chosen": lambda window: not held_out(window),
        "the odd days, held out": held_out,
        "the windows whose pledge the battery has the energy for": lambda window: tradeoff.PLEDGED_SHARE * window.mean_w <= can_w,
    }
    told = [part(windows, found[NAMES[0]], changed, label, chosen) for label, chosen in parts.items()]
    return Tracked({name: tradeoff.scored(windows, name, results, changed) for name, results in found.items()}, "; ".join(told))


def part(windows: Sequence[Window], results: Sequence[Result], station: Station, label: str, chosen: Callable[[Window], bool]) -> str:
    """Ours over those of `windows` that are `chosen`."""
    pairs = [(window, result) for window, result in zip(windows, results, strict=True) if chosen(window)]
    one = tradeoff.scored([window for window, _ in pairs], label, [result for _, result in pairs], station)
    return f"{label} {100 * one.error:.2f} % (n={one.windows})"


def figure(name: str, interval_s: float, goal: float, most_operations: float) -> Figure:
    """One figure, with every policy and the curve in its conditions."""
    station = shipped()
    tracked = at(station, interval_s)
    found = tracked.points
    windows = some(cut(one_minute()), CURVE_WINDOWS)
    told, done = line("curve"), 0

    def one_more() -> None:
        nonlocal done
        done += 1
        told(done, 2 * len(windows) * len(CURVE_DWELLS_S))

    curves = tradeoff.curves(windows, station, ("ours", "sigma-delta"), (interval_s,), one_more, CURVE_DWELLS_S)
    plain = [point for point in curves if point.policy == "sigma-delta"]
    worse = [
        f"{point.dwell_s / 60:g} min"
        for point in curves
        if point.policy == "ours" and (other := equal_operations(plain, point.operations)) is not None and point.error > other
    ]
    drawn = " | ".join(f"{p.policy} {p.dwell_s / 60:g} min: {100 * p.error:.1f} % @ {p.operations:.0f}" for p in curves)
    ours, sigma = found["ours"], found["sigma-delta"]
    conditions = (
        f"goal pledge at {100 * tradeoff.PLEDGED_SHARE:.0f} % of the window's mean load, settled every {interval_s / 60:g} min,"
        f" {ours.windows} windows (winter, one minute, household x 0.2), dwell {station.limits.dwell_s:g} s both ways, a decision every 10"
        f" s; RMS over all intervals of (achieved - min(goal, load)) / goal, median window in brackets: "
        + " | ".join(f"{one} {100 * p.error:.1f} % ({100 * p.median_error:.1f}) @ {p.operations:.1f}" for one, p in found.items())
        + f"; ours over {tracked.parts}; what energy and statistics leave open:"
        f" python -m tests.benchmarks.foresight; operations goal {most_operations:g}:"
        f" {'kept' if ours.operations <= most_operations else 'MISSED'};"
        f" over {len(windows)} windows by dwell: {drawn}; worse than sigma-delta at equal operations: {', '.join(worse) or 'nowhere'}"
    )
    return Figure(name, 100 * ours.error, "% of goal", 100 * sigma.error, goal, f"reference: sigma-delta in the same run; {conditions}")


def measure() -> list[Figure]:
    """Both figures."""
    return [figure("tracking_hour", HOUR_S, 3.0, 12.0), figure("tracking_quarter", QUARTER_S, 12.0, 40.0)]


def draw(path: Path) -> None:
    """The picture in the documentation: `python -m tests.benchmarks.tracking docs/images/tradeoff.png`."""
    station, windows = shipped(), some(cut(one_minute()), CURVE_WINDOWS)
    told, done = line("trade-off"), 0

    def one_more() -> None:
        nonlocal done
        done += 1
        told(done, len(windows) * 2 * (3 * len(CURVE_DWELLS_S) + 1))

    points = tradeoff.curves(windows, station, NAMES, (HOUR_S, QUARTER_S), one_more, CURVE_DWELLS_S)
    draw_tradeoff(points, f"Pledge of 30 % of the mean load, {len(windows)} winter windows of 4 h, 1152 Wh", path)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
