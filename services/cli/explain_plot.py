"""The picture of an event's decisions: modes as a band over time, numbered, with each number's reason beneath."""

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from services.cli.explain import Story

_DAY_S = 86_400
_COLOURS = {0: "#999999", 1: "#E69F00", 2: "#F0E442", 3: "#CC79A7", 4: "#D55E00", 5: "#009E73"}
_NAMES = {0: "all off", 1: "grid, charging", 2: "grid", 3: "battery, charging", 4: "charging only", 5: "battery"}
_GOAL, _CHARGE, _EVENT = "#D55E00", "#0072B2", "#56B4E9"
MOST_REASONS = 24
"""More would not be read."""


def draw(story: "Story", zone: ZoneInfo, path: Path) -> None:
    """Draw `story`, which has entries, into `path` (.png or .svg). Raises OSError."""
    reasons = story.entries[:MOST_REASONS]
    lines = [line for i, entry in enumerate(reasons, 1) for line in _lines(i, f"{entry.at.astimezone(zone):%H:%M} {entry.reason}")]
    if len(story.entries) > MOST_REASONS:
        lines.append(f"… and {len(story.entries) - MOST_REASONS} more")
    figure = Figure(figsize=(11, 4.2 + 0.17 * len(lines)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    band, figures, text = figure.subplots(3, 1, height_ratios=(1.0, 2.0, 0.17 * len(lines)))
    band.sharex(figures)
    ends = [*(entry.at for entry in story.entries[1:]), max(story.end, story.entries[-1].at)]
    named: set[int] = set()
    for i, (entry, end) in enumerate(zip(story.entries, ends, strict=True), 1):
        begin, until = entry.at.timestamp() / _DAY_S, end.timestamp() / _DAY_S
        label = None if entry.mode in named else _NAMES[entry.mode]
        band.axvspan(begin, until, color=_COLOURS[entry.mode], linewidth=0, label=label)
        named.add(entry.mode)
        if i <= MOST_REASONS:
            band.text(begin, 0.25 + 0.5 * (i % 2), f"{i}", fontsize=7)
    band.set_yticks([])
    band.set_ylabel("mode")
    band.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6, frameon=False, fontsize=8)
    times = [entry.at.timestamp() / _DAY_S for entry in story.entries]
    figures.axvspan(story.start.timestamp() / _DAY_S, story.end.timestamp() / _DAY_S, color=_EVENT, alpha=0.12, linewidth=0)
    figures.step(times, [_known(entry.goal_w) for entry in story.entries], where="post", color=_GOAL, label="goal, W")
    figures.set_ylabel("goal, W")
    figures.set_ylim(bottom=0)
    charge = figures.twinx()
    charge.plot(times, [_known(entry.soc_pct) for entry in story.entries], color=_CHARGE, marker=".", label="charge, %")
    charge.step(
        times,
        [_known(None if e.duty is None else 100 * e.duty) for e in story.entries],
        where="post",
        color="#333333",
        linestyle=":",
        label="duty, %",
    )
    charge.set_ylim(0, 105)
    charge.set_ylabel("charge, duty, %")
    handles = [*figures.get_lines(), *charge.get_lines()]
    figures.legend(handles, [str(handle.get_label()) for handle in handles], frameon=False, fontsize=8, ncols=3)
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    figures.xaxis.set_major_locator(locator)
    figures.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]
    text.axis("off")
    text.text(0.0, 1.0, "\n".join(lines), va="top", fontsize=8, family="monospace", transform=text.transAxes)
    figure.suptitle(f"Event {story.event_id}: what was decided, and why", fontsize=11)
    figure.savefig(path)


def _lines(number: int, text: str) -> list[str]:
    first, *others = wrap(text, 118)
    return [f"{number:>3}  {first}", *(f"     {line}" for line in others)]


def _known(value: float | None) -> float:
    return float("nan") if value is None else value
