"""`sps export`: what is recorded, as CSV or Parquet, streamed out of the recorder."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, AskedVarOption, ConfigOption, load_station

if TYPE_CHECKING:
    from rich.console import Console

    from services.cli.export_rows import Row
    from services.core.config.station import Station

FORMATS = (".csv", ".parquet")


def export(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A .csv or .parquet file; - writes CSV to standard output.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="From this day or time on. Default: the first there is.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to this time, or this day's end. Default: now.")] = None,
    resolution: Annotated[str, typer.Option(help="raw, minute, quarter or hour.")] = "raw",
    series: Annotated[str | None, typer.Option("--series", metavar="NAMES", help="Such as p1_w,soc_pct. Default: all.")] = None,
    columns: Annotated[bool, typer.Option("--columns", help="List what can be exported, with units, and end.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    _var: AskedVarOption = DEFAULT_VAR,
) -> None:
    """Export readings, or means over minutes, quarters or hours, with their units documented in docs/export.md.

    The station, or its recorder alone (`sps run --only recorder`), must be running. An empty cell is unknown.

    Example: sps export july.csv --from 2026-07-01 --to 2026-07-31 --resolution quarter

    Example: sps export all.parquet --series p1_w,p2_w,p3_w,p4_w,soc_pct
    """
    from rich.console import Console

    from services.cli import export_rows
    from services.cli.export_files import STANDARD, Lacking, opened

    if resolution not in export_rows.RESOLUTIONS:
        fail(f"--resolution {resolution}: choose from {', '.join(export_rows.RESOLUTIONS)}", WRONG_USAGE)
    names = _names(series, resolution)
    if columns:
        _list(resolution, names)
        return
    if file is None:
        fail("name a file to write to, such as july.csv or july.parquet; - writes CSV to standard output", WRONG_USAGE)
    if str(file) != STANDARD and file.suffix not in FORMATS:
        fail(f"{file}: use a file name that ends in {' or '.join(FORMATS)}", WRONG_USAGE)
    station = load_station(config)
    console = Console(stderr=True, highlight=False)
    about = {"station": station.station, "timezone": station.timezone, "resolution": resolution}
    late: list[datetime] = []
    try:
        with opened(file, export_rows.columns_of(resolution, names), about) as sink:
            count = 0
            for rows in _rows(station, names, resolution, (start, end), late, console):
                sink.write(rows)
                count += len(rows)
    except Lacking as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot write {file}: {error.strerror or error}; choose another file")
    if str(file) != STANDARD:
        typer.echo(f"{count} rows written to {file}")
    if late:
        console.print(f"{len(late)} readings came in meanwhile, from {min(late):%Y-%m-%d %H:%M} UTC on; export again to have them, too")


def _names(series: str | None, resolution: str) -> list[str]:
    from services.cli.export_rows import choices

    known = choices(resolution)
    names = list(dict.fromkeys(name.strip() for name in series.split(","))) if series else list(known)
    if unknown := [name for name in names if name not in known]:
        fail(f"--series: {', '.join(unknown)} cannot be exported at this resolution; choose from {', '.join(known)}", WRONG_USAGE)
    return names


def _list(resolution: str, names: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from services.cli.export_rows import TIME, columns_of

    table = Table("Column", "Unit", "Meaning")
    table.add_row(TIME, "UTC", "when it was read" if resolution == "raw" else "where the step begins")
    for one in columns_of(resolution, names):
        table.add_row(one.name, one.unit, one.meaning)
    Console(highlight=False).print(table)


def _rows(
    station: "Station",
    names: list[str],
    resolution: str,
    span: tuple[str | None, str | None],
    late: list[datetime],
    console: "Console",
) -> "Iterator[list[Row]]":
    """The rows, with a bar that shows how far through the time it is."""
    from rich.progress import Progress

    from services.cli import export_rows
    from services.cli.recorder_link import ask, base_of
    from services.cli.spans import moment

    base = base_of(station)
    told = ask(f"{base}/healthz")["committed_until"]
    if told is None:
        return
    until = datetime.fromisoformat(told)
    today = until.astimezone(station.zone).date()
    start, end = (
        None if text is None else moment(option, text, station.zone, today, end=option == "--to")
        for option, text in zip(("--from", "--to"), span, strict=True)
    )
    raw = resolution == export_rows.RAW
    begin = start or (export_rows.first_reading(ask, base) if raw else export_rows.first_known(ask, base, until))
    stop = end or until.replace(microsecond=until.microsecond // 1000 * 1000) + export_rows.MOMENT
    if begin is None:
        return
    if begin >= stop:
        fail(f"--from ({begin:%Y-%m-%d %H:%M}) must lie before --to ({stop:%Y-%m-%d %H:%M})", WRONG_USAGE)
    if raw:
        pieces = export_rows.raw_rows(ask, base, names, begin, stop, late)
    else:
        pieces = export_rows.stepped_rows(ask, base, names, export_rows.STEPS_S[resolution], begin, min(stop, until + export_rows.MOMENT))
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=(min(stop, until) - begin).total_seconds())
        for rows in pieces:
            if rows:
                bar.update(task, completed=(rows[-1][0] - begin).total_seconds())
            yield rows
