"""`sps explain`: the decisions of one event on a time line, each with its reason."""

import json
from bisect import bisect_right
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.exits import WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, AskedVarOption, ConfigOption, load_station
from services.cli.recorder_link import ask, base_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from services.core.config.station import Station

FORMATS = (".png", ".svg")
MARGIN = timedelta(hours=1)
SERIES_STEP_S = 60
MODES = {
    0: "all off",
    1: "grid feeds load, battery charges",
    2: "grid feeds load",
    3: "battery feeds load and charges",
    4: "battery charges, load off",
    5: "battery feeds load",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision on the time line."""

    at: datetime
    phase: str | None
    mode: int
    reason: str
    code: str | None = None
    goal_w: float | None = None
    duty: float | None = None
    soc_pct: float | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """An event and what was decided in it."""

    event_id: str
    start: datetime
    end: datetime
    status: str
    entries: tuple[Entry, ...]


def explain(
    event: Annotated[str, typer.Argument(metavar="ID", help="The event's id; `sps event list` shows the known ones.")],
    results: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Results of `sps backtest --out`, in place of the running station's journal."),
    ] = None,
    policy: Annotated[str, typer.Option("--policy", help="With --from: whose decisions.")] = "ours",
    every: Annotated[bool, typer.Option("--all", help="Every decision, also those that change only their figures.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it into a .png or .svg file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    _var: AskedVarOption = DEFAULT_VAR,
) -> None:
    """Explain an event: what was decided when, and why, with mode, goal, duty and state of charge.

    Example: sps explain summer-1 --plot why.png

    Example: sps explain 20061218-1600 --from result
    """
    if plot is not None and plot.suffix.lower() not in FORMATS:
        fail(f"--plot {plot}: use a file name that ends in {' or '.join(FORMATS)}", WRONG_USAGE)
    station = load_station(config)
    story = from_journal(event, station) if results is None else from_results(event, results, policy)
    shown = replace(story, entries=story.entries if every else tuple(changes(story.entries)))
    if plot is not None:
        _draw(shown, station, plot)
    if as_json:
        typer.echo(json.dumps(asdict(shown), indent=2, default=str))
        return
    _print(shown, station)
    if plot is not None:
        typer.echo(f"drawn into {plot}")


def changes(entries: "Iterable[Entry]") -> "Iterable[Entry]":
    """Those that differ from the one before in mode or in kind of reason."""
    last: Entry | None = None
    for entry in entries:
        if last is None or (entry.mode, entry.code or entry.reason, entry.phase) != (last.mode, last.code or last.reason, last.phase):
            yield entry
        last = entry


def from_journal(event_id: str, station: "Station") -> Story:
    """The story of an event of the running station, from its recorder."""
    base = f"{base_of(station)}/api"
    found = ask(f"{base}/events/{event_id}/report")
    event = found["event"]
    start, end = (datetime.fromisoformat(event[name]) for name in ("start", "end"))
    span = {"start": (start - MARGIN).isoformat(), "end": (end + MARGIN).isoformat()}
    states = ask(f"{base}/states", topic="controller/state", **span)
    series = ask(f"{base}/series", names="soc_pct", step_s=str(SERIES_STEP_S), **span)
    charge = [(at, pct) for at, pct in zip(series["times"], series["series"]["soc_pct"], strict=True) if pct is not None]
    entries = [_entry(state, charge) for state in states if _belongs(state["payload"], event_id)]
    if not entries:
        # Of an event so old that its states are thinned out, the report still tells.
        entries = [_told(decision, charge) for decision in found["decisions"]]
    return Story(event_id, start, end, event["status"], tuple(entries))


def _belongs(payload: dict[str, Any], event_id: str) -> bool:
    return payload.get("event_id") == event_id or (payload.get("phase") == "normal" and "after the event" in payload.get("reason", ""))


def _entry(state: dict[str, Any], charge: "Sequence[tuple[float, float]]") -> Entry:
    said, at = state["payload"], datetime.fromisoformat(state["ts"])
    return Entry(
        at, said.get("phase"), said["mode_commanded"], said["reason"], said.get("reason_code"), said.get("goal_w"), said.get("duty"),
        _charge_at(charge, at),
    )  # fmt: skip


def _told(decision: dict[str, Any], charge: "Sequence[tuple[float, float]]") -> Entry:
    at = datetime.fromisoformat(decision["ts"])
    return Entry(at, None, decision["mode"], decision["reason"], soc_pct=_charge_at(charge, at))


def _charge_at(charge: "Sequence[tuple[float, float]]", at: datetime) -> float | None:
    """The last known state of charge, if it is not older than a few steps."""
    index = bisect_right(charge, (at.timestamp(), float("inf"))) - 1
    return charge[index][1] if index >= 0 and at.timestamp() - charge[index][0] <= 5 * SERIES_STEP_S else None


def from_results(event_id: str, folder: Path, policy: str) -> Story:
    """The story of an event in the results of a backtest."""
    path = folder / "results.json" if folder.is_dir() else folder
    try:
        events = json.loads(path.read_text(encoding="utf-8"))["events"]
        told = {(one["id"], one["policy"]): one for one in events}
    except OSError as error:
        fail(f"{path}: {error.strerror}; name the folder that was given to `sps backtest --out`", WRONG_USAGE)
    except (ValueError, KeyError, TypeError):
        fail(f"{path} is not what `sps backtest --out` writes", WRONG_USAGE)
    if (found := told.get((event_id, policy))) is None:
        known = ", ".join(sorted({one for one, _ in told})[:8])
        policies = ", ".join(sorted({one for _, one in told}))
        fail(f"{path} holds no event {event_id!r} of policy {policy!r}; there are {known} of {policies}")
    entries = tuple(
        Entry(
            datetime.fromisoformat(one["at"]),
            one["phase"],
            one["mode"],
            one["reason"],
            one["code"],
            one["goal_w"],
            one["duty"],
            one["soc_pct"],
        )
        for one in found["decisions"]
    )
    start, end = (datetime.fromisoformat(found[name]) for name in ("start", "end"))
    return Story(event_id, start, end, f"in a backtest, policy {policy}", entries)


def _print(story: Story, station: "Station") -> None:
    from rich.console import Console

    zone = station.zone
    start, end = story.start.astimezone(zone), story.end.astimezone(zone)
    console = Console(highlight=False)
    console.print(f"[bold]Event {story.event_id}[/bold]: {start:%a %d %b %Y %H:%M} to {end:%H:%M} ({zone.key}), {story.status}")
    if not story.entries:
        console.print("Nothing was decided for it yet.")
        return
    console.print(table(story, station))


def table(story: Story, station: "Station") -> "Table":
    """The time line."""
    from rich.table import Table

    made = Table(box=None, padding=(0, 1))
    for heading, justify in (("Time", "left"), ("Mode", "right"), ("Goal\nW", "right"), ("Duty\n%", "right"), ("Charge\n%", "right")):
        made.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    made.add_column("Why")
    for entry in story.entries:
        style = "green" if entry.mode in (3, 5) else None
        figures = (_figure(entry.goal_w), _figure(None if entry.duty is None else 100 * entry.duty), _figure(entry.soc_pct))
        made.add_row(f"{entry.at.astimezone(station.zone):%H:%M:%S}", str(entry.mode), *figures, entry.reason, style=style)
    made.caption = "; ".join(f"{mode} {MODES[mode]}" for mode in sorted({entry.mode for entry in story.entries}))
    return made


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _draw(story: Story, station: "Station", path: Path) -> None:
    try:
        from services.cli.explain_plot import draw
    except ImportError as error:
        fail(f"drawing needs matplotlib ({error}); install it with: pip install 'smart-power-station[report]'")
    if not story.entries:
        fail("there is nothing to draw: nothing was decided for this event yet")
    try:
        draw(story, station.zone, path)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}; choose another file with --plot")
