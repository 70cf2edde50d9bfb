"""Reports as one page to print or keep: everything is inside the file, and nothing of it is a script."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from services.cli import season
from services.cli.report_csv import EVENT_COLUMNS
from services.cli.report_notes import notes, total
from services.cli.report_plot import figure_of, svg_of

_FOLDER = Path(__file__).parent / "templates"
_LATER_FIELDS: dict[str, Any] = {"revision": 0, "changed": (), "pv_wh": None}
"""What figures lack that an earlier version has settled."""
_PAID, _WEAR, _ENERGY = "#009E73", "#D55E00", "#0072B2"


def event_page(found: dict[str, Any], series: dict[str, Any], zone: ZoneInfo, goal: str) -> str:
    """The page of an event."""
    event = found["event"]
    start, end = (datetime.fromisoformat(event[name]).astimezone(zone) for name in ("start", "end"))
    intervals = found["performance"]["intervals"] if found["performance"] else []
    return _render(
        "event.html.j2",
        event=event,
        status=f"{event['status']} ({event['status_reason']})" if event.get("status_reason") else event["status"],
        performance=found["performance"] and {**_LATER_FIELDS, **found["performance"]},
        intervals=[{**dict.fromkeys(EVENT_COLUMNS), **one} for one in intervals],
        passed_over=found["baseline"]["refused"] if found["baseline"] else [],
        when=f"{start:%A %d %B %Y, %H:%M} to {end:%H:%M} ({zone.key})",
        goal=goal,
        picture=_picture(figure_of(found, series, zone)),
        notes=notes(found),
        total=total,
        local=lambda ts: f"{datetime.fromisoformat(ts).astimezone(zone):%H:%M}",
    )


def season_page(found: season.Season) -> str:
    """The page of a season."""
    return _render(
        "season.html.j2",
        found=found,
        cells=season.cells,
        notes=found.notes(),
        picture=_picture(_money(found)) if found.events or found.total.paid else None,
    )


def _render(template: str, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["wh"] = lambda wh: "unknown" if wh is None else f"{wh:.1f}"
    environment.filters["share"] = lambda covered: f"{int(covered * 1000) / 10:g} %"
    return environment.get_template(template).render(**values)


def _picture(figure: Figure) -> Markup:
    # Drawn by matplotlib, which escapes the text in it.
    return Markup(svg_of(figure))  # noqa: S704


def _money(found: season.Season) -> Figure:
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    energy, money = figure.subplots(1, 2)
    labels = [f"{month.first:%b}" for month in found.months]
    places = range(len(labels))
    energy.bar(
        [i - 0.2 for i in places],
        [(month.avoided_wh or 0.0) / 1000 for month in found.months],
        0.4,
        color=_ENERGY,
        label="by battery, metered",
    )
    energy.bar(
        [i + 0.2 for i in places],
        [(month.reduction_wh or 0.0) / 1000 for month in found.months],
        0.4,
        color=_PAID,
        label="reduction, programme",
    )
    energy.set_ylabel("kWh")
    money.bar([i - 0.2 for i in places], [month.paid for month in found.months], 0.4, color=_PAID, label="paid, notional")
    money.bar([i + 0.2 for i in places], [month.wear or 0.0 for month in found.months], 0.4, color=_WEAR, label="wear of the battery")
    money.set_ylabel(found.currency or "money")
    for axes in (energy, money):
        axes.set_xticks(list(places), labels)
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return figure
