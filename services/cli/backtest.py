"""`sps backtest`: policies side by side over a measured trace, with the optimum, a table and pictures."""

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.exits import WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, load_station

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from services.backtest.contest import Contest, Held
    from services.backtest.score import Summary
    from services.backtest.trace import Trace
    from services.core.config.station import Station
    from services.core.events import Event

PACKAGED_DAYS = 7.0
PACKAGED_SCALE = 0.2
ALL = "ours,greedy,sigma-delta,one-block"
NOTHING = "-"
TRADEOFF_WINDOWS = 24
"""The curve needs many runs: it is drawn over so many windows, evenly chosen."""


def backtest(
    trace: Annotated[
        Path | None,
        typer.Argument(
            metavar="[TRACE.csv]",
            help="Columns time and load_w; pv_w and temperature_c if you have them. Default: the packaged winter trace.",
        ),
    ] = None,
    config: Annotated[
        Path, typer.Option("--station", envvar="SPS_CONFIG", metavar="FILE", help="The station's description.")
    ] = DEFAULT_CONFIG,
    pv: Annotated[
        Path | None, typer.Option("--pv", metavar="FILE", help="A CSV file with columns time and pv_w, on the same times.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", metavar="FILE", help="A CSV file: start,duration and perhaps goal and id.")
    ] = None,
    every: Annotated[
        tuple[str, str, str], typer.Option("--every", metavar="DAYS HH:MM PT4H", help="Events at a local time of days, weekdays, mon,tue …")
    ] = ("weekdays", "16:00", "PT4H"),
    goal: Annotated[str, typer.Option("--goal", help="minimize, 'pledge 150' or 'limit 100'; an event's own goal wins.")] = "minimize",
    policy: Annotated[str, typer.Option("--policy", help="With commas between.")] = ALL,
    optimum: Annotated[bool, typer.Option("--optimum/--no-optimum", help="Compare with perfect foresight.")] = True,
    dwell_optimum: Annotated[
        float, typer.Option("--dwell-optimum", metavar="S", min=0.0, help="Also with the relay's dwell; at most S seconds an event.")
    ] = 0.0,
    scale: Annotated[float | None, typer.Option("--scale", min=0.001, max=1000.0, help="Times the load. Default: 1; 0.2 packaged.")] = None,
    interval: Annotated[
        str | None, typer.Option("--interval", metavar="PT1H", help="The settlement interval. Default: the station's.")
    ] = None,
    step: Annotated[float, typer.Option("--step", min=1.0, max=300.0, metavar="S", help="Seconds between two decisions.")] = 10.0,
    days: Annotated[float | None, typer.Option("--days", min=0.1, help="Only so many first days. Default: all; 7 of the packaged.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Results (JSON, CSV) and pictures go there.")] = None,
    tradeoff: Annotated[
        bool, typer.Option("--tradeoff", help="With --out: also draw error against relay operations (minutes of work).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play a measured load through the controller, as live, beside plain policies and the optimum.

    Every step is decided by the code that also runs live, on the simulated plant. Local times are the station's.

    Example: sps backtest

    Example: sps backtest house.csv --scale 0.2 --every weekdays 16:00 PT4H --goal 'pledge 150' --out result
    """  # fmt: skip
    from services.backtest.contest import NAMES, Contest
    from services.backtest.parallel import hold_all
    from services.backtest.results import document
    from services.backtest.score import summary

    station = _station(config, interval)
    policies = [name.strip() for name in policy.split(",") if name.strip()]
    if not policies or (unknown := [name for name in policies if name not in NAMES]):
        fail(f"--policy {policy}: choose from {', '.join(NAMES)}, not {', '.join(unknown) if policies else 'nothing'}", WRONG_USAGE)
    if tradeoff and out is None:
        fail("--tradeoff draws a picture: name a folder for it with --out", WRONG_USAGE)
    load = _trace(trace, pv, station, scale, days)
    listed = _events(events, every, goal, load, station)
    contest = Contest(station, load, listed, step, optimum=optimum, dwell_limit_s=dwell_optimum)
    with _progress(quiet=as_json) as progress:
        rows = [progress.add_task(name, total=1.0) for name in policies]
        held = hold_all(contest, policies, lambda i, share: progress.update(rows[i], completed=share))
    summaries = [summary(name, [one.score for one in held[name]]) for name in policies]
    made = document(summaries, held, _conditions(contest, trace, load.covered))
    written = _write(out, made, held, station) if out is not None else []
    if tradeoff and out is not None:
        written.append(_tradeoff(load, station, policies, out, quiet=as_json))
    if as_json:
        typer.echo(json.dumps(made, indent=1, default=str))
        return
    _print(contest, summaries, held, policies)
    for path in written:
        typer.echo(f"written: {path}")


def _station(config: Path, interval: str | None) -> "Station":
    from services.core.durations import parse_duration

    station = load_station(config)
    if interval is None:
        return station
    try:
        length = parse_duration(interval)
        if not timedelta(minutes=1) <= length <= timedelta(hours=4) or length.total_seconds() % 60:
            raise ValueError("use whole minutes, from PT1M to PT4H")  # noqa: TRY301 - one way out for both
    except ValueError as error:
        fail(f"--interval {interval}: {error}", WRONG_USAGE)
    return station.model_copy(update={"control": station.control.model_copy(update={"settlement_interval": length})})


def _trace(path: Path | None, pv: Path | None, station: "Station", scale: float | None, days: float | None) -> "Trace":
    from services.backtest.trace import BadTrace, beside, packaged, read

    reading = path
    try:
        load = packaged() if path is None else read(path, station.zone)
        load = load.scaled(scale if scale is not None else PACKAGED_SCALE if path is None else 1.0)
        if pv is not None:
            reading = pv
            load = beside(load, read(pv, station.zone, needs="pv_w"))
    except (OSError, BadTrace) as error:
        fail(f"{reading}: {error.strerror if isinstance(error, OSError) else error}", WRONG_USAGE)
    return load.first_days(days if days is not None else PACKAGED_DAYS) if days is not None or path is None else load


def _events(path: Path | None, every: tuple[str, str, str], goal: str, trace: "Trace", station: "Station") -> "tuple[Event, ...]":
    from services.backtest import events as lists
    from services.backtest.trace import BadTrace

    try:
        wanted = lists.parse_goal(goal)
        if path is None:
            found = lists.every(*every, trace, wanted, station.zone)
        else:
            found = lists.within(lists.listed(path.read_text(encoding="utf-8-sig").splitlines(), wanted, station.zone), trace)
    except BadTrace as error:
        fail(f"{path}: {error}", WRONG_USAGE)
    except OSError as error:
        fail(f"{path}: {error.strerror}; name a file with --events, or use --every", WRONG_USAGE)
    except (ValueError, UnicodeDecodeError) as error:
        fail(str(error), WRONG_USAGE)
    if not found:
        span = f"{trace.start.astimezone(station.zone):%Y-%m-%d %H:%M} to {trace.end.astimezone(station.zone):%Y-%m-%d %H:%M}"
        fail(f"no event lies whole within the trace, which goes from {span}", WRONG_USAGE)
    return found


def _progress(*, quiet: bool) -> Any:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True, disable=quiet)


def _conditions(contest: "Contest", path: Path | None, covered: float) -> dict[str, Any]:
    battery = contest.station.battery
    return {
        "trace": str(path) if path is not None else "packaged",
        "start": contest.trace.start.isoformat(),
        "end": contest.trace.end.isoformat(),
        "covered": covered,
        "step_s": contest.step_s,
        "interval_s": contest.station.control.settlement_interval.total_seconds(),
        "dwell_s": contest.station.limits.dwell_s,
        "timezone": contest.station.timezone,
        "battery": {name: getattr(battery, name) for name in ("capacity_wh", "inverter_w", "charge_w", "idle_w", "floor_pct")},
    }


def _write(out: Path, made: dict[str, Any], held: "Mapping[str, Sequence[Held]]", station: "Station") -> list[Path]:
    from services.backtest.results import CSV_NAME, JSON_NAME, write

    try:
        write(out, made)
        from services.backtest.plots import draw_event

        drawn = []
        for i, first in enumerate(next(iter(held.values()))):
            drawn.append(out / f"event-{first.event.id}.png")
            draw_event({name: events[i] for name, events in held.items()}, station.zone, drawn[-1])
    except OSError as error:
        fail(f"cannot write into {out}: {error.strerror}; choose another folder with --out")
    except ImportError as error:
        fail(f"drawing needs matplotlib ({error}); install it with: pip install 'smart-power-station[backtest]'")
    return [out / JSON_NAME, out / CSV_NAME, *drawn]


def _tradeoff(trace: "Trace", station: "Station", policies: "Sequence[str]", out: Path, *, quiet: bool) -> Path:
    from services.backtest import tradeoff
    from services.backtest.plots import draw_tradeoff
    from services.backtest.windows import cut, rows_of, some

    windows = some(cut(rows_of(trace, "the trace")), TRADEOFF_WINDOWS)
    if not windows:
        fail("the trade-off needs stretches of four hours with a mean load of 80 W; try a larger --scale")
    interval_s = station.control.settlement_interval.total_seconds()
    with _progress(quiet=quiet) as progress:
        row = progress.add_task("trade-off", total=len(policies) * len(tradeoff.DWELLS_S) * len(windows))
        points = tradeoff.curves(windows, station, policies, (interval_s,), lambda: progress.advance(row))
    path = out / "tradeoff.png"
    draw_tradeoff(points, f"Pledge of 30 % of the mean load, {len(windows)} windows of 4 h", path)
    return path


def _print(contest: "Contest", summaries: "Sequence[Summary]", held: "Mapping[str, Sequence[Held]]", policies: "Sequence[str]") -> None:
    from rich.console import Console

    trace, zone, battery, dwell_s = contest.trace, contest.station.zone, contest.station.battery, contest.station.limits.dwell_s
    console = Console(highlight=False)
    span = f"{trace.start.astimezone(zone):%a %d %b %Y %H:%M} to {trace.end.astimezone(zone):%a %d %b %Y %H:%M}"
    console.print(
        f"{len(contest.events)} events, {span} ({zone.key}), load known for {100 * trace.covered:.1f} % of the time;"
        f" {battery.capacity_wh:g} Wh, {battery.inverter_w:g} W, dwell {dwell_s:g} s, a decision every {contest.step_s:g} s"
    )
    console.print(table(summaries))
    if any(one.tracking is not None for one in summaries):
        console.print("RMS: of each interval's reduction against its goal, or its load if that is less.", style="dim")
    if any(one.worst_median is not None for one in summaries):
        console.print(
            "Worst: an event's least interval, and energy: the whole, of what perfect foresight gets from the same state of charge."
        )
        console.print("Energy above 100 %: the idle draw took the battery below its lowest after the policy had stopped.", style="dim")
    for name in policies:
        for violation in [found for one in held[name] for found in one.violations][:3]:
            console.print(f"[red]{name}: {violation.rule} at {violation.at.astimezone(zone):%d %b %H:%M:%S}: {violation.what}")


def table(summaries: "Sequence[Summary]") -> "Table":
    """A row for each policy; what no event asked for is left out."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    columns: dict[str, list[str]] = {
        "Worst %\nmedian": [_percent(one.worst_median) for one in summaries],
        "Worst %\np10": [_percent(one.worst_p10) for one in summaries],
        "Energy\n%": [_percent(one.total) for one in summaries],
        "Avoided\nWh": [f"{one.total_wh:.0f}" for one in summaries],
        "RMS\n%": [_percent(one.tracking) for one in summaries],
        "Relay\nops": [f"{one.operations:.1f}" for one in summaries],
        "End %\ncharge": [f"{one.end_soc_pct:.0f}" for one in summaries],
        "Rules\nbroken": [str(one.violations) for one in summaries],
    }
    shown = {heading: figures for heading, figures in columns.items() if any(figure != NOTHING for figure in figures)}
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    made.add_column("Policy", no_wrap=True)
    for heading in shown:
        made.add_column(heading, justify="right", no_wrap=True)
    for i, one in enumerate(summaries):
        made.add_row(one.policy, *(figures[i] for figures in shown.values()), style="bold" if one.policy == "ours" else None)
    return made


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f}"
