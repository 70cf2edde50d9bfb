"""The picture of an event: power and its goal above, the battery's state of charge below."""

from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_LOAD, _GRID, _BATTERY, _BASELINE, _GOAL = "#333333", "#E69F00", "#009E73", "#0072B2", "#D55E00"
_EVENT_SHADE = "#56B4E9"
_DAY_S = 86_400
"""matplotlib counts dates in days since the epoch."""


def draw(found: dict[str, Any], series: dict[str, Any], zone: ZoneInfo, path: Path) -> None:
    """Draw the report `found`, with `series` around it, into `path` (.png or .svg). Raises OSError."""
    figure_of(found, series, zone).savefig(path)


def svg_of(figure: Figure) -> str:
    """The figure as an SVG element that can stand in a page."""
    written = StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    return text[text.index("<svg") :]


def figure_of(found: dict[str, Any], series: dict[str, Any], zone: ZoneInfo) -> Figure:
    """The picture of the report `found`, with `series` around it."""
    figure = Figure(figsize=(10, 6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    power, charge = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    event = found["event"]
    start, end = (datetime.fromisoformat(event[name]).astimezone(zone) for name in ("start", "end"))
    times = [time_s / _DAY_S for time_s in series["times"]]
    for axes in (power, charge):
        axes.axvspan(_days(start), _days(end), color=_EVENT_SHADE, alpha=0.12, linewidth=0)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    _draw_power(power, times, series["series"])
    _draw_steps(power, found)
    power.set_ylabel("power, W")
    power.set_ylim(bottom=min([0.0, *(w for w in series["series"]["import_w"] + series["series"]["p3_w"] if w is not None)]))
    power.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=5, frameon=False, fontsize=9)
    charge.plot(times, _line(series["series"]["soc_pct"]), color=_BATTERY, linewidth=1.6)
    charge.set_ylabel("battery, %")
    charge.set_ylim(0, 100)
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    charge.xaxis.set_major_locator(locator)
    charge.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]
    charge.set_xlim(times[0], times[-1])
    figure.suptitle(f"Event {event['id']}: {start:%a %d %b %Y, %H:%M} to {end:%H:%M}. {_outcome(found)}", fontsize=11)
    return figure


def _draw_power(axes: Axes, times: list[float], series: dict[str, list[float | None]]) -> None:
    for name, label, color in (("import_w", "grid (P1 + P2)", _GRID), ("p3_w", "battery to load (P3)", _BATTERY)):
        power = _line(series[name])
        axes.fill_between(times, 0, power, step="mid", color=color, alpha=0.3, linewidth=0)
        axes.step(times, power, where="mid", color=color, linewidth=1.3, label=label)
    axes.step(times, _line(series["load_w"]), where="mid", color=_LOAD, linewidth=0.7, label="load (P1 + P3)")


def _draw_steps(axes: Axes, found: dict[str, Any]) -> None:
    """The baseline of each interval as its mean power, and what the goal makes of it."""
    named: set[str] = set()
    for one in found["baseline"]["intervals"] if found["baseline"] else ():
        start, end = (_days(datetime.fromisoformat(one[name])) for name in ("start", "end"))
        _draw_band(axes, one, start, end)
        baseline_w = None if one["import_wh"] is None else one["import_wh"] / ((end - start) * 24)
        steps = (
            (baseline_w, "baseline (of the grid)", _BASELINE),
            (_goal_w(found["event"]["goal"], baseline_w), "goal (for the grid)", _GOAL),
        )
        for level_w, label, color in steps:
            if level_w is not None:
                axes.plot([start, end], [level_w, level_w], color=color, linestyle="--", label="_" if label in named else label)
                named.add(label)


def _draw_band(axes: Axes, one: dict[str, Any], start: float, end: float) -> None:
    """Between what the load would have lain, nine times in ten."""
    low, high = (one.get(name) for name in ("load_low_wh", "load_high_wh"))
    if low is not None and high is not None:
        hours = (end - start) * 24
        axes.fill_between([start, end], low / hours, high / hours, color=_LOAD, alpha=0.08, linewidth=0)


def _goal_w(goal: dict[str, Any], baseline_w: float | None) -> float | None:
    if goal["kind"] == "limit":
        return float(goal["import_w"])
    if goal["kind"] == "pledge" and baseline_w is not None:
        return max(0.0, baseline_w - float(goal["reduction_w"]))
    return None


def _days(ts: datetime) -> float:
    return ts.timestamp() / _DAY_S


def _outcome(found: dict[str, Any]) -> str:
    performance = found["performance"]
    if performance is None:
        return "No figures yet"
    parts = [
        f"{label} {performance[name]:.0f} Wh"
        for label, name in (("By battery", "avoided_wh"), ("reduction", "reduction_wh"))
        if performance[name] is not None
    ]
    return ", ".join(parts) or "Nothing is known of it"


def _line(values: list[float | None]) -> list[float]:
    """Gaps as NaN, at which matplotlib lifts its pen."""
    return [float("nan") if value is None else value for value in values]
