"""How near the controller comes to perfect foresight when it minimises: the worst hour, and all the energy, beside plain policies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.backtest import field, trial
from services.backtest.contest import NAMES
from services.backtest.optimum import Idle, maximin, most, with_dwell
from services.backtest.policies import POLICIES
from services.backtest.published import play
from services.backtest.score import quantile
from services.backtest.trial import Result
from services.backtest.windows import Rows, Window, cut, half_hourly_summer, held_out, one_minute, some
from services.core.config.load import parse_station
from services.core.config.station import Station
from tests.benchmarks.figure import Figure
from tests.benchmarks.progress import line

SHARED = Path("../shared/data")
"""Beside the project; its half-hourly data may not be copied into it."""
OTHER_WINDOWS = 36
DWELL_WINDOWS = 16
DWELL_LIMIT_S = 10.0
MOST_OPERATIONS = 12
SIZES = {"small": (268.0, 600.0), "large": (3072.0, 3000.0)}
"""Wh and W: as an EB3A and an AC300 have."""


@dataclass(frozen=True, slots=True)
class Line:
    """A policy's figures over some windows."""

    policy: str
    median: float
    p10: float
    quarter_median: float
    """The least quarter of an hour, over a quarter of the optimum's least hour."""
    energy: float
    operations: float
    lowest_soc_pct: float

    def __str__(self) -> str:
        return (
            f"{self.policy} {self.median:.3f}/{self.p10:.3f}, worst quarter {self.quarter_median:.2f}, energy {self.energy:.3f},"
            f" {self.operations:.1f} operations, down to {self.lowest_soc_pct:.1f} %"
        )


def shipped() -> Station:
    """The shipped station without its panel: the windows know no sun."""
    station = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
    return station.model_copy(update={"positions": station.positions.model_copy(update={"p4": None})})


def sized(station: Station, capacity_wh: float, inverter_w: float) -> Station:
    """The same with another power station."""
    return station.model_copy(
        update={
            "battery": station.battery.model_copy(update={"capacity_wh": capacity_wh, "inverter_w": inverter_w, "charge_w": inverter_w / 3})
        }
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """All policies over some windows, ours first."""

    lines: list[Line]
    days: str
    """Ours apart on the days that its constants were chosen by, and on the others."""


def compare(rows: Rows, windows: Sequence[Window], station: Station, label: str) -> Compared:
    """All policies over `windows`."""
    asked = field.Field(windows, station, trial.memories(rows, windows, station))
    tasks = [trial.task(window, station) for window in windows]
    least = [maximin(task).objective_wh for task in tasks]
    total = [most(task).objective_wh for task in tasks]
    found = field.play(asked, NAMES, line(label))
    told = []
    for days, odd in (("even days, by which its constants were chosen", False), ("odd days, held out", True)):
        chosen = [i for i, window in enumerate(windows) if held_out(window) is odd]
        ours = summed(days, [found[NAMES[0]][i] for i in chosen], [least[i] for i in chosen], [total[i] for i in chosen])
        told.append(f"{ours}, n={len(chosen)}")
    return Compared([summed(policy, results, least, total) for policy, results in found.items()], "; ".join(told))


def summed(policy: str, results: Sequence[Result], least: Sequence[float], total: Sequence[float]) -> Line:
    """A policy's line. Windows in which even the optimum has an hour with nothing cannot be compared, and count for energy only."""
    shares = [float(r.intervals_wh.min()) / m for r, m in zip(results, least, strict=True) if m > 0.0]
    quarters = [float(r.quarters_wh.min()) / (m / 4.0) for r, m in zip(results, least, strict=True) if m > 0.0]
    return Line(
        policy,
        quantile(shares, 0.5),
        quantile(shares, 0.1),
        quantile(quarters, 0.5),
        sum(r.total_wh for r in results) / sum(total),
        sum(r.operations for r in results) / len(results),
        min(r.lowest_soc_pct for r in results),
    )


def published(windows: Sequence[Window], station: Station) -> str:
    """The figures that were published with idle draw on battery only, as we find them."""
    tasks = [trial.task(window, station, Idle.ON_BATTERY) for window in windows]
    least, total = [maximin(task).objective_wh for task in tasks], sum(most(task).objective_wh for task in tasks)
    told = []
    for name, dwell_s in (("greedy", 300.0), ("sigma-delta", 300.0), ("sigma-delta", 60.0), ("one-block", 300.0)):
        played = [play(POLICIES[name], task, dwell_s) for task in tasks]
        shares = [float(p.intervals_wh.min()) / m for p, m in zip(played, least, strict=True)]
        energy = sum(float(p.intervals_wh.sum()) for p in played) / total
        operations = sum(p.operations for p in played) / len(played)
        median, p10 = quantile(shares, 0.5), quantile(shares, 0.1)
        told.append(f"{name} at {dwell_s / 60:g} min {median:.3f}/{p10:.3f} @ {operations:.0f}, energy {energy:.3f}")
    return "; ".join(told)


def dwelt(windows: Sequence[Window], station: Station) -> str:
    """What the relay's dwell costs even perfect foresight."""
    tasks = [trial.task(window, station) for window in some(windows, DWELL_WINDOWS)]
    told = line("optimum with dwell")
    shares, solved = [], 0
    for i, task in enumerate(tasks, 1):
        best = with_dwell(task, station.limits.dwell_s, limit_s=DWELL_LIMIT_S, most_operations=MOST_OPERATIONS)
        shares.append(best.objective_wh / maximin(task).objective_wh)
        solved += best.solved
        told(i, len(tasks))
    median, p10 = quantile(shares, 0.5), quantile(shares, 0.1)
    return (
        f"perfect foresight with dwell and at most {MOST_OPERATIONS} operations reaches {median:.3f}/{p10:.3f}"
        f" over {len(tasks)} of them (solved to 0.1 % in {solved}, else the best found in {DWELL_LIMIT_S:g} s)"
    )


def others(station: Station) -> Mapping[str, list[Line]]:
    """Other sizes and another season, over fewer windows."""
    rows = one_minute()
    some_rows = some(cut(rows), OTHER_WINDOWS)
    found = {
        f"{name} ({capacity_wh:g} Wh, {inverter_w:g} W), {rows.label}, n={len(some_rows)}": compare(
            rows, some_rows, sized(station, capacity_wh, inverter_w), name
        ).lines
        for name, (capacity_wh, inverter_w) in SIZES.items()
    }
    try:
        summer = half_hourly_summer(SHARED)
    except OSError as error:
        return {**found, f"summer NOT MEASURED ({error.strerror}: {error.filename})": []}
    hot = some(cut(summer), OTHER_WINDOWS)
    return {**found, f"as shipped, {summer.label}, n={len(hot)}": compare(summer, hot, station, "summer").lines}


def measure() -> list[Figure]:
    """All three figures from the same runs."""
    station, rows = shipped(), one_minute()
    windows = cut(rows)
    compared = compare(rows, windows, station, "winter")
    lines = compared.lines
    ours, plain = lines[0], next(one for one in lines if one.policy == "sigma-delta")
    tables = "; ".join(f"[{label}] " + " | ".join(map(str, table)) for label, table in others(station).items())
    conditions = (
        f"goal minimize; {len(windows)} windows of 4 h with a mean load of 80 W at least ({rows.label}, household x 0.2), full battery,"
        f" {station.battery.capacity_wh:g} Wh, floor {station.battery.floor_pct:g} %, efficiency {station.battery.discharge_efficiency:g},"
        f" idle {station.battery.idle_w:g} W all along for every policy and the optimum, dwell {station.limits.dwell_s:g} s both ways and"
        f" the same guard for all, a decision every 10 s; median/p10 of the least hour over the LP's: {' | '.join(map(str, lines))};"
        f" ours on {compared.days};"
        f" {dwelt(windows, station)}; {tables}; as published, idle on battery only: {published(windows, station)}"
    )
    operations = f" ({ours.operations:.1f} operations an event, goal 12)"
    beside = "reference: plain sigma-delta in the same run; "
    return [
        Figure("worst_hour_median", ours.median, "of optimum", plain.median, 0.99, beside + conditions + operations, better="higher"),
        Figure("worst_hour_p10", ours.p10, "of optimum", plain.p10, 0.96, "as worst_hour_median" + operations, better="higher"),
        Figure(
            "avoided_energy",
            ours.energy,
            "of optimum",
            plain.energy,
            0.985,
            "as worst_hour_median; energy of all windows over the LP's, which keeps above the floor to the event's end: a policy that stops"
            " sooner is drained below it by the idle draw, and may show more than 1; what can be had of it without foresight:"
            " python -m tests.benchmarks.foresight",
            better="higher",
        ),
    ]
