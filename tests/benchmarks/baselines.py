"""How good the baselines are: every method on real homes' hours, on days that had no event.

`python -m tests.benchmarks.baselines` prints the table, and draws it with `--plot docs/images/baselines.png`.
"""

import argparse
import csv
import gzip
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Picture
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from services.bus import programmes
from services.core.average_day import Question, average_day
from services.core.baseline import Interval, Measured, intervals_of
from services.core.energy import UNKNOWN, Energy
from services.core.low_bias.days import Hour, Past, past_of
from services.core.low_bias.estimate import Judge
from services.core.low_bias.features import Window
from services.core.low_bias.walk import BLEND, TREES, Trial, walk
from services.recorder.trees import learner
from tests.benchmarks.figure import Figure

OWN = Path(__file__).parent / "data" / "uci_sceaux_hourly_kw.csv.gz"
SHARED = Path(__file__).parents[3] / "shared" / "data"
AUSGRID = "ausgrid_customer12_2011-2012_load_pv.csv.gz"
WINDOWS = (Window(11, 15), Window(14, 18), Window(16, 20), Window(19, 23))
"""Con Edison's four."""
HOT_SHARE = 0.1
HOUR = timedelta(hours=1)
WIDTH = 110
"""Of the table, also where it is written into a file."""
LOW_BIAS, PLAIN, BOOSTED = "low-bias estimate", "low-bias, without trees", "gradient boosting, monthly refit"
GOAL_BIAS_PCT, GOAL_COVERED = 2.0, (87.0, 93.0)
PROXY = "the tenth of the days with the most load outside of the event's hours, for lack of temperatures"


@dataclass(frozen=True, slots=True)
class House:
    """A home's hours and its calendar. Times are as recorded: local, every day 24 hours long."""

    name: str
    load_wh: Mapping[datetime, float]
    holidays: frozenset[date]
    warm_months: frozenset[int]


@dataclass(frozen=True, slots=True)
class Guess:
    """What a method said of one pseudo-event, beside what came."""

    house: str
    method: str
    said_wh: float
    actual_wh: float
    hot: bool
    covered: float | None = None
    """Share of the hours that lay within the interval; None for methods without one."""
    total_covered: bool | None = None


def houses(shared: Path) -> Iterator[House]:
    """Those whose data are there."""
    with gzip.open(OWN, "rt", encoding="utf-8") as file:
        sceaux = {_at(row["datetime"]): float(row["mean_kw"]) * 1000 for row in csv.DictReader(file)}
    yield House("Sceaux (UCI)", sceaux, _holidays("FR", None, sceaux), frozenset(range(5, 10)))
    if (shared / AUSGRID).exists():
        halves: dict[datetime, list[float]] = {}
        with gzip.open(shared / AUSGRID, "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                halves.setdefault(_at(row[""]).replace(minute=0), []).append(float(row["GC"]) * 1000)
        whole = {hour: sum(both) for hour, both in halves.items() if len(both) == 2}
        yield House("customer 12 (Ausgrid)", whole, _holidays("AU", "NSW", whole), frozenset({11, 12, 1, 2, 3}))


def guesses(house: House, progress: Callable[[str], None]) -> list[Guess]:
    """Every method on every weekday of the warm months, in each window, once there is enough to learn from."""
    hours = [Hour(start, wh) for start, wh in sorted(house.load_wh.items())]
    past = past_of(hours, ZoneInfo("UTC"), hours[-1].start.date(), house.holidays)
    found = []
    for window in WINDOWS:
        progress(f"{house.name}, {window.first} to {window.last} h")
        trials = walk(past, window, past.days[-1].day, day_of=True, learn=learner()).trials
        events = [t for t in trials if not t.restful and TREES in t.said_wh and t.day.month in house.warm_months]
        hot = _hot(past, events, window)
        found += _judged(house, trials, events, hot, LOW_BIAS)
        found += _judged(house, [_without_trees(t) for t in trials], [_without_trees(t) for t in events], hot, PLAIN)
        found += [Guess(house.name, BOOSTED, sum(t.said_wh[TREES]), sum(t.actual_wh), t.day in hot) for t in events]
        found += _by_rule(house, window, events, hot)
    return found


def measure(shared: Path = SHARED) -> list[Figure]:
    """The three figures of the low-bias estimate; the table of all methods goes to standard error."""
    found = [guess for house in houses(shared) for guess in guesses(house, _say)]
    show(found, Console(stderr=True, width=WIDTH))
    names = list(dict.fromkeys(guess.house for guess in found))
    biases = {name: 100 * bias(of(found, LOW_BIAS, name)) for name in names}
    own, trees = (mean(error(of(found, method, name)) for name in names) for method in (LOW_BIAS, BOOSTED))
    bare = mean(error(of(found, PLAIN, name)) for name in names)
    covered = 100 * mean(mean(g.covered for g in of(found, LOW_BIAS, name) if g.covered is not None) for name in names)
    total = 100 * mean(mean(float(g.total_covered) for g in of(found, LOW_BIAS, name) if g.total_covered is not None) for name in names)
    hot = {name: 100 * bias(of(found, LOW_BIAS, name, hot=True)) for name in names}
    n = ", ".join(f"{name} {len(of(found, LOW_BIAS, name))}" for name in names)
    conditions = (
        f"weekdays of the warm months as pseudo-events, four windows of 4 h, walk-forward, known up to the start; n = {n}"
        f"{'' if len(names) > 1 else ' (the second home is only read from ../shared/data, and is not there)'}"
    )
    told = ", ".join(f"{name} {one:+.2f} %" for name, one in biases.items())
    low, high = GOAL_COVERED
    return [
        Figure(
            "baseline_bias",
            max(abs(one) for one in biases.values()),
            "%",
            max(abs(100 * bias(of(found, BOOSTED, name))) for name in names),
            GOAL_BIAS_PCT,
            f"largest bias of the low-bias estimate over homes ({told}); {conditions}; reference: gradient boosting's; on the hottest days"
            f" ({PROXY}) {', '.join(f'{name} {one:+.1f} %' for name, one in hot.items())}, for which no goal is set",
        ),
        Figure(
            "baseline_mae",
            100 * own,
            "% of the mean",
            100 * trees,
            1.0,
            f"relative mean absolute error of an event's energy, mean over homes; {conditions}; reference: gradient boosting with the same"
            f" features, refitted monthly; without the extra `estimate` it is {100 * bare:.2f} %",
            goal_on="ratio",
        ),
        Figure(
            "interval_coverage",
            covered,
            "% of hours",
            90.0,
            low,
            f"hours that lay within the 90 % interval; the goal has an upper end, too, {high:g}: {'kept' if covered <= high else 'MISSED'};"
            f" of the whole events' energies {total:.1f} % lay within theirs; {conditions}",
            better="higher",
        ),
    ]


def show(found: Sequence[Guess], console: Console) -> None:
    """Bias and relative error of each method, by home, on all days and on the hottest."""
    for house in dict.fromkeys(guess.house for guess in found):
        table = Table(box=SIMPLE_HEAD, title=f"{house}, n = {len(of(found, LOW_BIAS, house))}")
        for column in ("method", "bias", "error", "bias, hottest", "error, hottest"):
            table.add_column(column, justify="left" if column == "method" else "right", no_wrap=True)
        for method in dict.fromkeys(guess.method for guess in found):
            every, hot = of(found, method, house), of(found, method, house, hot=True)
            table.add_row(method, f"{bias(every):+.1%}", f"{error(every):.3f}", f"{bias(hot):+.1%}", f"{error(hot):.3f}")
        console.print(table)
    console.print(f"hottest: {PROXY}", highlight=False)


def draw(found: Sequence[Guess], path: Path) -> None:
    """The same as a picture."""
    methods = list(dict.fromkeys(guess.method for guess in found))
    names = list(dict.fromkeys(guess.house for guess in found))
    picture = Picture(figsize=(11, 5.5), dpi=130, layout="constrained")
    FigureCanvasAgg(picture)
    left, right = picture.subplots(1, 2, sharey=True)
    for i, name in enumerate(names):
        for hot, marker, alpha in ((False, "o", 1.0), (True, "^", 0.45)):
            groups = [of(found, method, name, hot=hot) for method in methods]
            style = {"marker": marker, "linestyle": "none", "alpha": alpha, "color": ("#0072B2", "#D55E00")[i % 2]}
            label = f"{name}, {'hottest days' if hot else 'all days'}"
            left.plot([100 * bias(group) for group in groups], range(len(methods)), **style, label=label)
            right.plot([100 * error(group) for group in groups], range(len(methods)), **style)
    left.axvspan(-GOAL_BIAS_PCT, GOAL_BIAS_PCT, color="#009E73", alpha=0.15, linewidth=0)
    left.axvline(0, color="#888", linewidth=0.8)
    left.set_yticks(range(len(methods)), methods)
    left.invert_yaxis()
    left.set_xlabel("bias, % (shaded: the goal)")
    right.set_xlabel("mean absolute error of an event's energy, %")
    right.set_xlim(left=0)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    picture.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    picture.savefig(path)


def of(found: Iterable[Guess], method: str, house: str, *, hot: bool = False) -> list[Guess]:
    """The guesses of one method at one house."""
    return [guess for guess in found if guess.method == method and guess.house == house and (guess.hot or not hot)]


def bias(found: Sequence[Guess]) -> float:
    """Relative: what was said too much, over what came."""
    return sum(guess.said_wh - guess.actual_wh for guess in found) / sum(guess.actual_wh for guess in found)


def error(found: Sequence[Guess]) -> float:
    """Relative mean absolute error of an event's energy."""
    return sum(abs(guess.said_wh - guess.actual_wh) for guess in found) / sum(guess.actual_wh for guess in found)


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean."""
    listed = list(values)
    return sum(listed) / len(listed)


def _judged(house: House, trials: Sequence[Trial], events: Sequence[Trial], hot: set[date], name: str) -> list[Guess]:
    judge, wanted, found = Judge(), {trial.day for trial in events}, []
    for trial in trials:
        if trial.restful:
            continue
        if trial.day in wanted:
            said = judge.estimate(trial.said_wh, trial.scale_wh)
            covered = total = None
            if said.low_wh is not None and said.high_wh is not None:
                within = [low <= wh <= high for low, wh, high in zip(said.low_wh, trial.actual_wh, said.high_wh, strict=True)]
                covered = sum(within) / len(within)
            if said.total_low_wh is not None and said.total_high_wh is not None:
                total = said.total_low_wh <= sum(trial.actual_wh) <= said.total_high_wh
            found.append(Guess(house.name, name, said.total_wh, sum(trial.actual_wh), trial.day in hot, covered, total))
        judge.heard(trial)
    return found


def _without_trees(trial: Trial) -> Trial:
    return replace(trial, said_wh={name: said for name, said in trial.said_wh.items() if name not in (TREES, BLEND)})


def _by_rule(house: House, window: Window, events: Sequence[Trial], hot: set[date]) -> list[Guess]:
    def measured(windows: Sequence[Interval]) -> list[Measured]:
        energies = [UNKNOWN if (wh := house.load_wh.get(one.start)) is None else Energy(wh, 1.0) for one in windows]
        return [Measured(energy, energy) for energy in energies]

    found = []
    for name in programmes.names(Path()):
        if name in ("coned-dlrp", "recent-days"):
            continue  # the same rule under another name; and a plainer one than all
        programme = programmes.load(name)
        for event in events:
            start = datetime(event.day.year, event.day.month, event.day.day, window.first, tzinfo=UTC)
            intervals = intervals_of(start, start + len(window.hours) * HOUR, HOUR)
            said = average_day(programme.baseline, Question(intervals, ZoneInfo("UTC"), measured, start, holidays=house.holidays))
            known = [wh for wh in said.import_wh if wh is not None]
            if len(known) == len(intervals):
                found.append(Guess(house.name, programme.title, sum(known), sum(event.actual_wh), event.day in hot))
    return found


def _hot(past: Past, events: Sequence[Trial], window: Window) -> set[date]:
    outside = [h for h in range(24) if h not in window.hours]
    loads = {event.day: sum(past.load_wh((event.day - past.days[0].day).days, hour) or 0.0 for hour in outside) for event in events}
    return set(sorted(loads, key=lambda day: loads[day], reverse=True)[: round(HOT_SHARE * len(loads))])


def _holidays(country: str, subdivision: str | None, hours: Iterable[datetime]) -> frozenset[date]:
    years = {hour.year for hour in hours}
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=years))


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _say(text: str) -> None:
    print(f"  {text} …", file=sys.stderr, flush=True)


def main() -> None:
    """Print the table, and draw it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.baselines")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw it, such as into docs/images/baselines.png")
    parser.add_argument("--shared", type=Path, default=SHARED, metavar="FOLDER", help="where the data are that are not in the project")
    arguments = parser.parse_args()
    found = [guess for house in houses(arguments.shared) for guess in guesses(house, _say)]
    show(found, Console(width=WIDTH))
    if arguments.plot is not None:
        draw(found, arguments.plot)
        print(f"drawn into {arguments.plot}")


if __name__ == "__main__":
    main()
