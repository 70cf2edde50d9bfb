"""`sps energy`: watt-hours per position by hour, day or month, and what they say of the battery."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, AskedVarOption, ConfigOption, load_station

if TYPE_CHECKING:
    from services.cli.energy_figures import Figures

STEPS = ("hour", "day", "month")
LAST_DAYS = 7
BY_HOUR_UP_TO, BY_DAY_UP_TO = 2, 93
"""Days that are shown by hour, and by day; longer is shown by month."""
FORMATS = (".png", ".svg")


def energy(
    day: Annotated[str | None, typer.Option("--day", metavar="DAY", help="One day by the hour: 2026-07-01, today, yesterday.")] = None,
    month: Annotated[str | None, typer.Option("--month", metavar="MONTH", help="One month by the day: 2026-07, or 'this'.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="DAY", help="From this day on.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Up to this day, which belongs to it. Default: today.")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="STEP", help="hour, day or month. Default: as suits the span.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a line a step; an empty cell is unknown.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it into a .png or .svg file.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    _var: AskedVarOption = DEFAULT_VAR,
) -> None:
    """Show where energy went: Wh per position, avoided energy, PV used, round-trip efficiency, cycles and what they wear.

    Without a span it is the last seven days. The share of time that a figure covers stands beside it; '-' is unknown.

    Example: sps energy

    Example: sps energy --day yesterday

    Example: sps energy --month 2026-07 --plot july.png
    """
    if as_json and as_csv:
        fail("choose one form: --json or --csv", WRONG_USAGE)
    if by is not None and by not in STEPS:
        fail(f"--by {by}: choose from {', '.join(STEPS)}", WRONG_USAGE)
    if plot is not None and plot.suffix.lower() not in FORMATS:
        fail(f"--plot {plot}: use a file name that ends in {' or '.join(FORMATS)}", WRONG_USAGE)
    if sum(option is not None for option in (day, month, start or end)) > 1:
        fail("choose one span: --day, --month, or --from and --to", WRONG_USAGE)
    from services.cli.energy_figures import gather
    from services.cli.recorder_link import ask, base_of

    station = load_station(config)
    base = base_of(station)
    told = ask(f"{base}/healthz")["committed_until"]
    if told is None:
        fail("nothing is recorded yet")
    until = datetime.fromisoformat(told)
    first, last = _span(day, month, (start, end), until.astimezone(station.zone).date())
    found = gather(station, base, first, last, by or _step(day, month, (last - first).days + 1), until)
    if plot is not None:
        _draw(found, plot)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    elif as_csv:
        typer.echo(found.as_csv())
    else:
        _print(found, plot)


def _span(day: str | None, month: str | None, span: tuple[str | None, str | None], today: date) -> tuple[date, date]:
    from services.cli import spans

    if day is not None:
        chosen = spans.day("--day", day, today)
        return chosen, chosen
    if month is not None:
        return _month(month, today)
    start, end = span
    last = spans.day("--to", end, today) if end else today
    first = spans.day("--from", start, today) if start else last - timedelta(days=LAST_DAYS - 1)
    if first > last:
        fail(f"--from ({first}) must not lie after --to ({last})", WRONG_USAGE)
    return first, last


def _month(text: str, today: date) -> tuple[date, date]:
    try:
        first = today.replace(day=1) if text == "this" else date.fromisoformat(f"{text}-01")
    except ValueError:
        fail(f"--month {text}: write a month such as 2026-07, or 'this'", WRONG_USAGE)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _step(day: str | None, month: str | None, days: int) -> str:
    if day is not None or (month is None and days <= BY_HOUR_UP_TO):
        return "hour"
    return "day" if days <= BY_DAY_UP_TO else "month"


def _draw(found: "Figures", plot: Path) -> None:
    try:
        from services.cli.energy_plot import draw
    except ImportError as error:
        fail(f"drawing needs matplotlib ({error}); install it with: pip install 'smart-power-station[report]'")
    try:
        draw(found, plot)
    except OSError as error:
        fail(f"cannot write {plot}: {error.strerror}; choose another file with --plot")


def _print(found: "Figures", plot: Path | None) -> None:
    from rich.console import Console

    from services.cli.energy_figures import lines, table

    console = Console(highlight=False)
    whole = found.whole.period
    console.print(f"[bold]{found.station}[/bold]: {whole.start:%a %d %b %Y %H:%M} to {whole.end:%a %d %b %Y %H:%M} ({found.timezone})")
    console.print(table(found))
    for line in lines(found):
        console.print(f"- {line}", markup=False)
    if plot is not None:
        typer.echo(f"drawn into {plot}")
