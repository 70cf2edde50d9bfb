"""`sps report`: what an event came to, as a table, as JSON, and as a picture."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.exits import WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, ConfigOption, load_station

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from rich.table import Table

TIMEOUT_S = 30.0
PLOT_MARGIN = timedelta(hours=1)
"""How much of the time before and after the event the picture shows."""
PLOT_POINTS = 720
FORMATS = (".png", ".svg")
UNKNOWN = "unknown"


def report(
    event: Annotated[str | None, typer.Argument(metavar="[ID]", help="The event's id. Default: the latest that has begun.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it into a .png or .svg file.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Report an event: baseline, grid energy, energy carried by the battery, and reduction per settlement interval.

    Example: sps report

    Example: sps report summer-1 --plot summer-1.png
    """
    if plot is not None and plot.suffix.lower() not in FORMATS:
        fail(f"--plot {plot}: use a file name that ends in {' or '.join(FORMATS)}", WRONG_USAGE)
    station = load_station(config)
    base = f"http://{station.recorder.api.host}:{station.recorder.api.port}/api"
    found = _ask(f"{base}/events/{event or _latest(base)}/report")
    if plot is not None:
        _plot(found, base, station.zone, plot)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    _print(found, station.zone)
    if plot is not None:
        typer.echo(f"drawn into {plot}")


def _ask(url: str, **query: str) -> Any:
    """What the recorder answers; ends the command with one line if it does not."""
    import requests

    try:
        answer = requests.get(url, params=query, timeout=TIMEOUT_S)
        body = answer.json()
    except requests.ConnectionError:
        fail(
            f"the recorder does not answer at {url.partition('/api')[0]}; start the station with `sps run`, or name its file with --config"
        )
    except (requests.RequestException, ValueError) as error:
        fail(f"the recorder did not answer sensibly at {url}: {error}")
    if answer.status_code in (404, 422) and "/report" in url:
        fail("there is no such event; `sps event list` shows the known ones")
    if not answer.ok:
        fail(f"the recorder refused: {body.get('detail', body) if isinstance(body, dict) else body}")
    return body


def _latest(base: str) -> str:
    events = _ask(f"{base}/events")
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
        console.print("There are no figures yet: it has not begun, or never ran." + _reason(event))
    else:
        console.print(table(found["performance"], zone))
    for note in notes(found):
        console.print(f"- {note}")


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


def total(intervals: list[dict[str, Any]], figure: str) -> float | None:
    """The sum over all intervals; None if one is unknown."""
    known = [one[figure] for one in intervals if one[figure] is not None]
    return sum(known) if known and len(known) == len(intervals) else None


def notes(found: dict[str, Any]) -> list[str]:
    """What a reader must know to take the figures for what they are."""
    baseline, performance = found["baseline"], found["performance"]
    said = []
    if performance is not None and not found["final"]:
        said.append("Provisional: the event is running, or its last readings are not on disk yet.")
    if baseline is not None:
        days = baseline["days"]
        named = f"the days {', '.join(sorted(days))}" if days else f"nothing: {baseline['note']}"
        said.append(f"Baseline: method '{baseline['method']}', resting on {named}.")
    if performance is not None:
        pv_wh = total(performance["intervals"], "pv_wh")
        sun = f" Meanwhile PV gave {pv_wh:.0f} Wh." if pv_wh else ""
        said.append(f"By battery is metered: what it gave to the load, less what the grid gave to it.{sun}")
        said.append("Reduction is baseline less grid energy, and notional: an estimate at the plug is not the utility's meter.")
        if performance["covered"] < 1:
            said.append("Time without readings is not covered, and no reduction is claimed for it.")
    return said


def _plot(found: dict[str, Any], base: str, zone: "ZoneInfo", path: Path) -> None:
    event = found["event"]
    start, end = (datetime.fromisoformat(event[name]) for name in ("start", "end"))
    first, last = start - PLOT_MARGIN, end + PLOT_MARGIN
    step_s = max(60, round((last - first).total_seconds() / PLOT_POINTS / 60) * 60)
    query = {"names": "load_w,import_w,p3_w,soc_pct", "start": first.isoformat(), "end": last.isoformat(), "step_s": str(step_s)}
    series = _ask(f"{base}/series", **query)
    try:
        from services.cli.report_plot import draw
    except ImportError as error:
        fail(f"drawing needs matplotlib ({error}); install it with: pip install 'smart-power-station[report]'")
    try:
        draw(found, series, zone, path)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}; choose another file with --plot")


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
