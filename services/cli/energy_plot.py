"""The picture of `sps energy`: what fed the load and what fed the battery, and how much of the time was measured."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from services.cli.energy_figures import Figures, percent
from services.core.energy_account import Period

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_GRID, _BATTERY, _CHARGED, _PV = "#E69F00", "#009E73", "#0072B2", "#F0E442"
_GAP = "#999999"
_PARTS = (("p1", "grid to load (P1)", _GRID, 1), ("p3", "battery to load (P3)", _BATTERY, 1))
_INTO = (("p2", "grid to battery (P2)", _CHARGED, -1), ("p4", "PV to battery (P4)", _PV, -1))
_FORMS = {"hour": "%d %b %H:%M", "day": "%d %b", "month": "%b %Y"}
_LABELS = 12


def draw(found: Figures, path: Path) -> None:
    """Draw `found` into `path` (.png or .svg). Raises OSError."""
    figure_of(found).savefig(path)


def figure_of(found: Figures) -> Figure:
    """The picture."""
    figure = Figure(figsize=(10, 5.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    energy, covered = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    largest = max([0.0, *(abs(one.energy_wh or 0.0) for step in found.steps for one in step.flows.values())])
    scale, unit = (1000.0, "kWh") if largest >= 10_000 else (1.0, "Wh")
    for group in (_PARTS, _INTO):
        _stack(energy, found.steps, group, scale)
    for i, step in enumerate(found.steps):
        if all(step.flows[name].energy_wh is None for name in ("p1", "p2", "p3", "p4")):
            for axes in (energy, covered):
                axes.axvspan(i - 0.5, i + 0.5, facecolor="none", edgecolor=_GAP, hatch="///", alpha=0.4, linewidth=0)
    energy.axhline(0, color="black", linewidth=0.8)
    energy.set_ylabel(f"{unit} per {found.by}\nto the load above, to the battery below")
    energy.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False, fontsize=9)
    covered.bar(range(len(found.steps)), [step.metered * 100 for step in found.steps], width=0.85, color=_GAP)
    covered.set_ylim(0, 100)
    covered.set_ylabel("covered, %")
    for axes in (energy, covered):
        axes.grid(axis="y", alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    every = -(-len(found.steps) // _LABELS)
    covered.set_xticks(
        range(0, len(found.steps), every), [f"{step.start:{_FORMS[found.by]}}" for step in found.steps[::every]], rotation=30, ha="right"
    )
    covered.set_xlim(-0.6, len(found.steps) - 0.4)
    whole = found.whole
    figure.suptitle(f"{found.station}: {_days(whole.period)}, {percent(whole.period.metered)} % covered. {_outcome(found)}", fontsize=11)
    return figure


def _stack(axes: Axes, steps: list[Period], group: tuple[tuple[str, str, str, int], ...], scale: float) -> None:
    bottoms = [0.0] * len(steps)
    for name, label, color, sign in group:
        if all(step.flows[name].energy_wh is None for step in steps):
            continue
        heights = [sign * (step.flows[name].energy_wh or 0.0) / scale for step in steps]
        axes.bar(range(len(steps)), heights, width=0.85, bottom=bottoms, color=color, label=label)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]


def _days(period: Period) -> str:
    first, last = f"{period.start:%d %b %Y}", f"{period.end.replace(microsecond=0):%d %b %Y %H:%M}"
    return f"{first} to {last}"


def _outcome(found: Figures) -> str:
    whole = found.whole
    parts = [
        "" if whole.avoided.energy_wh is None else f"Avoided {whole.avoided.energy_wh / 1000:.2f} kWh",
        "" if whole.cycles.energy_wh is None else f"{whole.cycles.energy_wh:.1f} cycles",
        "" if whole.round_trip is None else f"round trip {percent(whole.round_trip)} %",
    ]
    return ", ".join(part for part in parts if part)
