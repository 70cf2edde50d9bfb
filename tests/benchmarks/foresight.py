"""What the figures of the controller could be without foresight: `python -m tests.benchmarks.foresight`.

Two bounds, each of a policy that knows more than a controller can: of a pledge by quarters, one that is optimal for the statistics of
the very windows (`statistics_bound`); of the energy and the worst hour when minimising, one that asks a forest of decision trees
whether a later hour will lack load, trained on all days but the window's own, those to come included, with a relay that knows no dwell.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from services.backtest import trial
from services.backtest.optimum import maximin, most
from services.backtest.score import quantile
from services.backtest.tradeoff import PLEDGED_SHARE
from services.backtest.windows import Window, cut, one_minute
from services.controller.share import relied_upon
from tests.benchmarks.control import shipped
from tests.benchmarks.progress import line
from tests.benchmarks.statistics_bound import best, course

MINUTES, HOURS, HOUR = 240, 4, 60
LOOKED_BACK = (1, 5, 15, 30, 60, 120, 240)
TRAINED_EVERY = 7
BLOCK = 2 * 1440
"""Days are left out of the training two by two."""
TREES, LEAF = 150, 40
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7)
QUIET, CAUTIOUS = 0.5, 0.963
"""Held back of the even level where a later hour will likely lack load, and where it may: the best found for the forest."""
MAYBE = 0.25


def features(sums: NDArray[np.float64], loads_w: NDArray[np.float64], at: int, hour: int) -> list[float]:
    """What the forest is told at the minute `at` of an event's `hour`."""
    means = [(sums[at] - sums[max(0, at - back)]) / max(1, min(back, at)) for back in LOOKED_BACK]
    before = loads_w[max(0, at - HOUR) : at + 1]
    return [at % 1440 / HOUR, hour, at % HOUR, *means, before.min(), before.max(), loads_w[max(0, at - 3 * HOUR) : at + 1].min()]


def forests(loads_w: NDArray[np.float64], windows: Sequence[Window], even_w: float) -> dict[int, NDArray[np.float64]]:
    """For each window, by its first row: minute by minute how likely one of its later hours has less load than `even_w`."""
    sums = np.concatenate([[0.0], np.cumsum(loads_w)])
    seen, lacks, at_ = [], [], []
    for at in range(MINUTES, len(loads_w) - MINUTES, TRAINED_EVERY):
        for hour in range(HOURS - 1):
            begin = (at // HOUR + 1) * HOUR
            later = [(sums[begin + (i + 1) * HOUR] - sums[begin + i * HOUR]) / HOUR for i in range(HOURS - 1 - hour)]
            seen.append(features(sums, loads_w, at, hour))
            lacks.append(min(later) < even_w)
            at_.append(at)
    told, found = line("forests"), {}
    x, y, when = np.array(seen), np.array(lacks), np.array(at_)
    blocks = range(0, len(loads_w), BLOCK)
    for done, begin in enumerate(blocks, 1):
        others = (when + MINUTES < begin) | (when - MINUTES > begin + BLOCK)
        forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, max_features=0.4, random_state=0).fit(x[others], y[others])
        for window in windows:
            if begin <= window.first < begin + BLOCK:
                asked = [features(sums, loads_w, window.first + t, t // HOUR) for t in range(MINUTES - HOUR)]
                found[window.first] = forest.predict_proba(np.array(asked))[:, 1]
        told(done, len(blocks))
    return found


def without_dwell(loads_w: NDArray[np.float64], kept: NDArray[np.float64], even_w: float) -> NDArray[np.float64]:
    """Each hour's energy when so much of the even level is `kept` for each later hour, minute by minute, on a relay without a dwell."""
    got, left_wh, worst_w = np.zeros(HOURS), even_w * HOURS, np.inf
    for t, load_w in enumerate(loads_w.tolist()):
        hour = t // HOUR
        if t % HOUR == 0 and hour and got[hour - 1] >= 0.98 * loads_w[t - HOUR : t].mean():
            worst_w = min(worst_w, got[hour - 1])
        later = HOURS - 1 - hour
        held_back_w = min((left_wh + got[hour]) / (later + 1), worst_w, even_w * (kept[t] if t < len(kept) else 1.0))
        taken_wh = min(load_w / HOUR, left_wh, max(0.0, left_wh - held_back_w * later))
        got[hour] += taken_wh
        left_wh -= taken_wh
    return got


def minimising(windows: Sequence[Window]) -> None:
    """Prints what a forest would make of the energy and the worst hour."""
    station = shipped()
    tasks = [trial.task(window, station) for window in windows]
    least, possible_wh = [maximin(task).objective_wh for task in tasks], [most(task).objective_wh for task in tasks]
    even_w, loads_w = tasks[0].even_w, windows[0].rows.load_w
    likely = forests(loads_w, windows, even_w)

    def tell(label: str, kept: Sequence[NDArray[np.float64]]) -> None:
        given = [without_dwell(window.load_w, shares, even_w) for window, shares in zip(windows, kept, strict=True)]
        shares = [float(hours.min()) / best_wh for hours, best_wh in zip(given, least, strict=True)]
        left_wh = sorted((wh - float(hours.sum()) for hours, wh in zip(given, possible_wh, strict=True)), reverse=True)
        energy, sixth = 1.0 - sum(left_wh) / sum(possible_wh), sum(left_wh[: len(left_wh) // 6]) / sum(left_wh)
        told = f"worst hour {quantile(shares, 0.5):.3f}/{quantile(shares, 0.1):.3f}, energy {energy:.4f}"
        print(f"  {label}: {told}; {100 * sixth:.0f} % of what is left over in a sixth of the windows")

    print(f"minimize, {len(windows)} windows, no dwell; least hour over the optimum's, median/p10, and all energy:")
    tell("even", [np.ones(1)] * len(windows))
    rule = [
        np.array([relied_upon(loads_w[max(0, window.first + t - 5) : window.first + t + 1].mean(), even_w) for t in range(MINUTES)])
        for window in windows
    ]
    tell("our rule, on the mean of five minutes", rule)
    for threshold in THRESHOLDS:
        kept = [np.where(p > threshold, QUIET, np.where(p > MAYBE, CAUTIOUS, 1.0)) for p in (likely[window.first] for window in windows)]
        tell(f"forest, from a likelihood of {threshold:g}", kept)


def pledging(windows: Sequence[Window]) -> None:
    """Prints what statistics known by heart would make of the tracking, and what the battery's energy alone leaves open."""
    station = shipped()
    can_w = trial.task(windows[0], station).even_w
    courses = [course(window, PLEDGED_SHARE * window.mean_w, can_w) for window in windows]
    short = [1.0 - each.goal_w / each.asked_w for each in courses]
    print(f"pledge of {100 * PLEDGED_SHARE:.0f} % of the mean load, {len(windows)} windows; RMS error in % of the goal:")
    alone = 100 * np.sqrt(np.mean(np.square(short)))
    print(f"  the battery's energy alone, in the {sum(part > 0.0 for part in short)} windows that ask too much of it: {alone:.2f}")
    error, operations = best(courses, 900.0, station.limits.dwell_s)
    print(f"  by quarters, optimal for the windows' own statistics: {100 * error:.2f} at {operations:.1f} operations")


def main() -> None:
    """Both bounds, in some minutes."""
    windows = cut(one_minute())
    pledging(windows)
    minimising(windows)


if __name__ == "__main__":
    main()
