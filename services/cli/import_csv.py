"""`sps import`: readings from CSV files into the journal, through the recorder. What is there already is not added twice."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from services.cli.exits import FAILED, WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, AskedVarOption, ConfigOption, load_station

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from rich.console import Console

    from services.cli.csv_layout import Source
    from services.cli.csv_reading import CsvReader, Reading

BATCH = 1_000
"""Lines in one request."""
OLD = (
    "readings older than recorder.raw_days are kept as minutes, quarters and hours only; import all that you have of one time"
    " before an hour is over"
)


@dataclass(frozen=True, slots=True)
class How:
    """How the files are to be read."""

    sources: "list[Source]"
    time: str | None
    time_format: str | None
    zone: "ZoneInfo"
    url: str | None
    """Where the recorder takes readings; None: only look."""
    raw_days: int


@dataclass(slots=True)
class Tally:
    """What became of a file."""

    lines: int = 0
    added: int = 0
    completed: int = 0
    known: int = 0
    differing: int = 0
    notes: list[str] = field(default_factory=list)
    """What is likely to be the same for all files."""


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV files.")],
    mappings: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=NAME", help="Which column of the file is what: p1_w=grid_power. May be repeated."),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="NAME", help="The file's column of times. Default: the usual names.")
    ] = None,
    time_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="As of strptime, such as '%d/%m/%Y %H:%M'. Default: ISO 8601, or epoch s or ms.")
    ] = None,
    tz: Annotated[
        str | None, typer.Option("--tz", metavar="ZONE", help="Time zone of times without an offset. Default: the station's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look, and say what is wrong; store nothing.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    _var: AskedVarOption = DEFAULT_VAR,
) -> None:
    """Import readings from CSV files: the daily files of the smartPowerStation project, those of `sps export`, or any with --map.

    The station, or its recorder alone (`sps run --only recorder`), must be running. Importing the same file again adds nothing.
    A broken line is named and the rest imported; what is suspected of another unit is named, and imported as it is.

    Example: sps import data/home_2025-*.csv --tz America/New_York

    Example: sps import meter.csv --time timestamp --map p1_w=grid_kw*1000 --map soc_pct=battery --tz Europe/Paris
    """
    from rich.console import Console

    from services.cli.csv_layout import LayoutError, parse_mapping
    from services.cli.recorder_link import base_of

    station = load_station(config)
    try:
        sources = [parse_mapping(text) for text in mappings or ()]
    except LayoutError as error:
        fail(str(error), WRONG_USAGE)
    url = None if dry_run else f"{base_of(station)}/api/readings"
    how = How(sources, time, time_format, _zone(tz) if tz else station.zone, url, station.recorder.raw_days)
    if missing := [str(path) for path in files if not path.is_file()]:
        fail(f"there is no file {', '.join(missing)}", WRONG_USAGE)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not _all(files, how, console):
        raise typer.Exit(FAILED)


def _zone(name: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo, available_timezones

    if name not in available_timezones():
        fail(f"--tz {name}: use an IANA time zone such as America/New_York", WRONG_USAGE)
    return ZoneInfo(name)


def _all(files: list[Path], how: How, console: "Console") -> bool:
    """Import each file; whether every one could be read."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from services.cli.csv_layout import LayoutError

    sizes = [max(path.stat().st_size, 1) for path in files]
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    fine = True
    said: list[str] = []
    with Progress(*columns, MofNCompleteColumn(), console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=sum(sizes))
        before = 0
        for path, size in zip(files, sizes, strict=True):
            bar.update(task, description=path.name)
            try:
                with path.open("rb") as file:
                    tally, reader = _one(file, how, lambda done, start=before: bar.update(task, completed=start + done))
            except (OSError, LayoutError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                console.print(f"{path}: not imported: {reason}", markup=False)
                fine = False
            else:
                _print(path, tally, reader, console, dry=how.url is None)
                for note in tally.notes:
                    if note not in said:  # of a hundred daily files it is the same
                        console.print(f"  {note}", markup=False)
                        said.append(note)
            before += size
    return fine


def _one(file: BinaryIO, how: How, progress: Any) -> tuple[Tally, "CsvReader"]:
    import csv

    from services.cli.csv_layout import LayoutError, layout_of, separator_of
    from services.cli.csv_reading import CsvReader

    lines = _lines(file)
    number, header = next(lines, (0, ""))
    if number == 0:
        raise LayoutError("it is empty")
    separator = separator_of(header)
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=separator, strict=True))]
    except csv.Error as error:
        raise LayoutError(f"its first line is no heading: {error}") from None
    layout = layout_of(names, how.sources, how.time)
    reader = CsvReader(names, layout, separator, how.zone, how.time_format)
    tally = Tally(notes=[f"read as {layout.name}"])
    if unused := [name for name in names if name not in layout.used()]:
        tally.notes.append(f"not imported: {', '.join(unused)}")
    batch: list[Reading] = []
    for number, text in lines:
        if text.strip():
            tally.lines += 1
        if (reading := reader.read(number, text)) is not None:
            batch.append(reading)
        if len(batch) >= BATCH:
            _send(batch, how, tally, reader)
            progress(file.tell())
            batch = []
    _send(batch, how, tally, reader)
    progress(file.tell())
    return tally, reader


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, by number from 1. What is no UTF-8 (a torn write) is shown as such in its line."""
    for number, line in enumerate(file, start=1):
        if text := line.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace").strip("\r\n\0"):
            yield number, text


def _send(batch: "list[Reading]", how: How, tally: Tally, reader: "CsvReader") -> None:
    from datetime import UTC, datetime

    from services.cli.csv_reading import Trouble
    from services.cli.recorder_link import tell

    if not batch:
        return
    if batch[0].ts < datetime.now(UTC) - timedelta(days=how.raw_days) and OLD not in tally.notes:
        tally.notes.append(OLD)
    if how.url is None:
        tally.added += len({one.ts for one in batch})
        return
    columns = sorted({name for one in batch for name in one.values})
    rows = [[round(one.ts.timestamp() * 1000), *(one.values.get(name) for name in columns)] for one in batch]
    answer = tell(how.url, {"columns": columns, "rows": rows})
    for name in ("added", "completed", "known", "differing"):
        setattr(tally, name, getattr(tally, name) + answer[name])
    for refused in answer["refused"]:
        lost = refused["field"] == "ts_ms"
        what = f"its time {batch[refused['row']].ts:%Y-%m-%d %H:%M:%S} UTC" if lost else f"{refused['field']} {refused['value']}"
        reader.trouble(Trouble(batch[refused["row"]].line, f"{what} was refused: {refused['remedy']}", lost=lost))


def _print(path: Path, tally: Tally, reader: "CsvReader", console: "Console", *, dry: bool) -> None:
    done = f"{tally.added} times {'could be added' if dry else 'added'}"
    more = [
        f"{count} {what}"
        for count, what in (
            (tally.completed, "completed"),
            (tally.known, "there already"),
            (reader.lost, "line(s) left out"),
            (reader.flagged, "value(s) flagged"),
        )
        if count
    ]
    typer.echo(f"{path}: {tally.lines} lines: {', '.join([done, *more])}")
    for trouble in reader.troubles:
        console.print(f"  line {trouble.line}: {trouble.what}", markup=False)
    if (hidden := reader.lost + reader.flagged - len(reader.troubles)) > 0:
        console.print(f"  and {hidden} more of the kind")
    notes = reader.notes()
    if tally.differing:
        notes.append(f"{tally.differing} values differ from what the journal has; it keeps its own")
    for note in notes:
        console.print(f"  {note}", markup=False)
