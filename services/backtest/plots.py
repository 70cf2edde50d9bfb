"""The pictures of a backtest: an event under every policy, and the trade-off of error against operations."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from services.backtest.contest import Held
from services.backtest.score import tracking_errors_w
from services.backtest.tradeoff import Point

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_LOAD, _GRID, _BATTERY, _GOAL, _EVENT = "#333333", "#E69F00", "#009E73", "#D55E00", "#56B4E9"
COLOURS: Mapping[str, str] = {"ours": "#0072B2", "greedy": "#999999", "sigma-delta": "#D55E00", "one-block": "#CC79A7"}
MARKS: Mapping[str, str] = {"ours": "o", "greedy": "x", "sigma-delta": "s", "one-block": "^"}
_DAY_S = 86_400


def draw_event(held: Mapping[str, Held], zone: ZoneInfo, path: Path) -> None:
    """One event: a row of load, grid and battery for each policy, and below what each achieved hour by hour. Raises OSError."""
    figure = Figure(figsize=(10, 2.1 * len(held) + 3.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(len(held) + 1, 1))
    event = next(iter(held.values())).event
    for row, (policy, one) in zip(axes, held.items(), strict=False):
        _draw_power(row, policy, one, zone)
    axes[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=5, frameon=False, fontsize=9)
    _draw_intervals(axes[-1], held)
    start, end = event.start.astimezone(zone), event.end.astimezone(zone)
    watts = "" if event.goal.power_w is None else f" {event.goal.power_w:.0f} W"
    figure.suptitle(f"Event {event.id}: {start:%a %d %b %Y, %H:%M} to {end:%H:%M}, {event.goal.kind}{watts}", fontsize=11)
    figure.savefig(path)


def _draw_power(axes: Axes, policy: str, held: Held, zone: ZoneInfo) -> None:
    times = [_days(sample.at) for sample in held.samples]
    axes.axvspan(_days(held.event.start), _days(held.event.end), color=_EVENT, alpha=0.12, linewidth=0)
    for label, color, power in (
        ("grid", _GRID, [sample.import_w for sample in held.samples]),
        ("battery to load", _BATTERY, [sample.battery_w for sample in held.samples]),
    ):
        axes.fill_between(times, 0, power, step="post", color=color, alpha=0.35, linewidth=0, label=label)
    axes.step(times, [sample.load_w for sample in held.samples], where="post", color=_LOAD, linewidth=0.8, label="load")
    charge = axes.twinx()
    charge.plot(times, [sample.soc_pct for sample in held.samples], color=_BATTERY, linewidth=1.4, linestyle=":")
    charge.set_ylim(0, 105)
    charge.set_ylabel("charge, %", fontsize=8)
    axes.plot([], [], color=_BATTERY, linestyle=":", label="charge (right)")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"{policy}\nW")
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]
    axes.grid(alpha=0.25)
    for side in (axes, charge):
        side.spines["top"].set_visible(False)


def _draw_intervals(axes: Axes, held: Mapping[str, Held]) -> None:
    """Bars of mean reduction, beside what was asked, or, where as much as possible was, beside the optimum's least."""
    width = 0.8 / len(held)
    for i, (policy, one) in enumerate(held.items()):
        means_w = [interval.avoided_wh / interval.hours for interval in one.score.intervals]
        at = [k + (i - (len(held) - 1) / 2) * width for k in range(len(means_w))]
        axes.bar(at, means_w, width * 0.92, color=COLOURS.get(policy, _LOAD), label=policy)
    first = next(iter(held.values())).score
    asked = tracking_errors_w(first.goal, first.intervals)
    longest_h = max(interval.hours for interval in first.intervals)
    if asked is not None:
        levels_w, label = [asked_w for asked_w, _ in asked], "asked"
    elif first.best_least_wh is not None:
        levels_w, label = [first.best_least_wh / longest_h] * len(first.intervals), "the optimum's least"
    else:
        levels_w, label = [], ""
    for k, level_w in enumerate(levels_w):
        axes.plot([k - 0.45, k + 0.45], [level_w, level_w], color=_GOAL, linewidth=1.6, label=label if k == 0 else None)
    axes.set_xticks(range(len(first.intervals)), [f"{k + 1}" for k in range(len(first.intervals))])
    axes.set_xlabel("settlement interval")
    axes.set_ylabel("reduction, W")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=len(held) + 1)


def draw_tradeoff(points: Sequence[Point], title: str, path: Path) -> None:
    """Error against operations, a panel for each settlement interval, a line for each policy. Raises OSError."""
    intervals_s = sorted({point.interval_s for point in points}, reverse=True)
    figure = Figure(figsize=(5.2 * len(intervals_s), 4.6), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(intervals_s), squeeze=False)[0]
    for axes, interval_s in zip(panels, intervals_s, strict=True):
        for policy in dict.fromkeys(point.policy for point in points):
            line = sorted((p for p in points if p.policy == policy and p.interval_s == interval_s), key=lambda p: p.dwell_s)
            axes.plot(
                [p.operations for p in line],
                [100 * p.error for p in line],
                color=COLOURS.get(policy, _LOAD),
                marker=MARKS.get(policy, "o"),
                label=policy,
            )
            for p in line:
                axes.annotate(
                    f"{p.dwell_s / 60:g}", (p.operations, 100 * p.error), textcoords="offset points", xytext=(5, 4), fontsize=7, color=_LOAD
                )
        axes.set_title(f"settled every {interval_s / 60:g} min", fontsize=10)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("relay operations an event (numbers: dwell in min)")
        axes.set_ylabel("RMS error, % of the goal")
        axes.grid(alpha=0.25, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path)


def _days(at: datetime) -> float:
    return at.timestamp() / _DAY_S
