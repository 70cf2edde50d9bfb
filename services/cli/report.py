"""`sps report`: what an event or a season came to, as a table, as JSON or CSV, as a picture and as a page to keep."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from services.cli.exits import WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, AskedVarOption, ConfigOption, load_station
from services.cli.recorder_link import ask, base_of
from services.cli.report_notes import notes, total

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from rich.table import Table

    from services.core.config.station import Station

PLOT_MARGIN = timedelta(hours=1)
"""How much of the time before and after the event the picture shows."""
PLOT_POINTS = 720
FORMATS = (".png", ".svg")
PAGES = (".html", ".htm")
UNKNOWN = "unknown"


def report(
    event: Annotated[str | None, typer.Argument(metavar="[ID]", help="The event's id. Default: the latest that has begun.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a line an interval, or a month; an empty cell is unknown.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it into a .png or .svg file.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write it as a page to print or keep.")] = None,
    season: Annotated[
        str | None, typer.Option("--season", metavar="YEAR", help="The programme's season (or the year): months, money, wear. Or 'this'.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    _var: AskedVarOption = DEFAULT_VAR,
) -> None:
    """Report an event: baseline, grid energy, energy carried by the battery, and reduction per settlement interval.

    Example: sps report

    Example: sps report summer-1 --plot summer-1.png --html summer-1.html

    Example: sps report --season 2026 --html season.html
    """
    _check_files(plot, html)
    if as_json and as_csv:
        fail("choose one form: --json or --csv", WRONG_USAGE)
    station = load_station(config)
    if season is not None:
        if event is not None or plot is not None:
            fail("--season is about all events: it takes no ID and no --plot; its pictures stand in --html", WRONG_USAGE)
        _season(station, season, html, as_json=as_json, as_csv=as_csv)
        return
    base = f"{base_of(station)}/api"
    found = ask(f"{base}/events/{event or _latest(base)}/report")
    if plot is not None or html is not None:
        _draw(found, base, station.zone, plot, html)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif as_csv:
        from services.cli.report_csv import event_csv

        typer.echo(event_csv(found))
    else:
        _print(found, station.zone)
        for path, done in ((plot, "drawn into"), (html, "written to")):
            if path is not None:
                typer.echo(f"{done} {path}")


def _check_files(plot: Path | None, html: Path | None) -> None:
    for option, path, formats in (("--plot", plot, FORMATS), ("--html", html, PAGES)):
        if path is not None and path.suffix.lower() not in formats:
            fail(f"{option} {path}: use a file name that ends in {' or '.join(formats)}", WRONG_USAGE)


def _season(station: "Station", year: str, html: Path | None, *, as_json: bool, as_csv: bool) -> None:
    from rich.console import Console

    from services.cli import season

    found = season.gather(station, base_of(station), year)
    if html is not None:
        _write_page(html, lambda: _pages().season_page(found))
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    elif as_csv:
        from services.cli.report_csv import season_csv

        typer.echo(season_csv(found.months, found.currency))
    else:
        console = Console(highlight=False)
        console.print(f"[bold]{found.programme.title}[/bold]: {found.first} to {found.last}, as far as {min(found.until, found.last)}")
        console.print(season.table(found))
        for note in found.notes():
            console.print(f"- {note}", markup=False)
        if html is not None:
            typer.echo(f"written to {html}")


def _latest(base: str) -> str:
    events = ask(f"{base}/events")
    if not events:
        fail("there has been no event yet; `sps event schedule now` makes one")
    begun = [event for event in events if event["status"] in ("ongoing", "completed", "cancelled", "opted_out")]
    return str(max(begun or events, key=lambda event: event["start"])["id"])


def _print(found: dict[str, Any], zone: "ZoneInfo") -> None:
    from rich.console import Console

    event = found["event"]
    start, end = (datetime.fromisoformat(event[name]).astimezone(zone) for name in ("start", "end"))
    console = Console(highlight=False)
    console.print(f"[bold]Event {event['id']}[/bold]: {start:%a %d %b %Y %H:%M} to {end:%H:%M} ({zone.key}), {event['status']}")
    console.print(f"Goal: {_goal(event['goal'])}")
    if found["performance"] is None:
        console.print("There are no figures yet: it has not begun, or never ran." + _reason(event), markup=False)
    else:
        console.print(table(found["performance"], zone))
    for note in notes(found):
        console.print(f"- {note}", markup=False)


def table(performance: dict[str, Any], zone: "ZoneInfo") -> "Table":
    """The settlement intervals and their totals."""
    from rich.table import Table

    made = Table()
    for heading in ("Interval", "Baseline\nWh", "Grid energy\nWh", "By battery\nWh", "Reduction\nWh", "Covered\n%"):
        made.add_column(heading, justify="left" if heading == "Interval" else "right", no_wrap=True)
    intervals = performance["intervals"]
    for one in intervals:
        start, end = (datetime.fromisoformat(one[name]).astimezone(zone) for name in ("start", "end"))
        figures = (one[name] for name in ("baseline_wh", "import_wh", "avoided_wh", "reduction_wh"))
        made.add_row(f"{start:%H:%M} to {end:%H:%M}", *map(_wh, figures), _share(one["covered"]))
    made.add_section()
    totals = (total(intervals, "baseline_wh"), total(intervals, "import_wh"), performance["avoided_wh"], performance["reduction_wh"])
    made.add_row("total", *map(_wh, totals), _share(performance["covered"]), style="bold")
    return made


def _draw(found: dict[str, Any], base: str, zone: "ZoneInfo", plot: Path | None, html: Path | None) -> None:
    event = found["event"]
    start, end = (datetime.fromisoformat(event[name]) for name in ("start", "end"))
    first, last = start - PLOT_MARGIN, end + PLOT_MARGIN
    step_s = max(60, round((last - first).total_seconds() / PLOT_POINTS / 60) * 60)
    query = {"names": "load_w,import_w,p3_w,soc_pct", "start": first.isoformat(), "end": last.isoformat(), "step_s": str(step_s)}
    series = ask(f"{base}/series", **query)
    if plot is not None:
        try:
            from services.cli.report_plot import draw
        except ImportError as error:
            _lacking(error)
        try:
            draw(found, series, zone, plot)
        except OSError as error:
            fail(f"cannot write {plot}: {error.strerror}; choose another file with --plot")
    if html is not None:
        _write_page(html, lambda: _pages().event_page(found, series, zone, _goal(event["goal"])))


def _pages() -> Any:
    try:
        from services.cli import report_html
    except ImportError as error:
        _lacking(error)
    return report_html


def _lacking(error: ImportError) -> NoReturn:
    fail(f"drawing needs matplotlib and jinja2 ({error}); install them with: pip install 'smart-power-station[report]'")


def _write_page(path: Path, made: Callable[[], str]) -> None:
    try:
        path.write_text(made(), encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}; choose another file with --html")


def _goal(goal: dict[str, Any]) -> str:
    return {
        "pledge": f"{goal.get('reduction_w') or 0:.0f} W less than the baseline",
        "limit": f"at most {goal.get('import_w') or 0:.0f} W from the grid",
        "minimize": "as little grid energy as possible",
    }[goal["kind"]]


def _reason(event: dict[str, Any]) -> str:
    return f" ({reason})" if (reason := event.get("status_reason")) else ""


def _wh(wh: float | None) -> str:
    return UNKNOWN if wh is None else f"{wh:.1f}"


def _share(covered: float) -> str:
    # Rounded down: 100 % means all of it.
    return f"{int(covered * 1000) / 10:.1f}" if covered < 1 else "100"
