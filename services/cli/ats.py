"""`sps ats test`: measure what the transfer switch does, and write it into the station file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import EPILOG, WRONG_USAGE, CommandFailed, fail
from services.cli.options import DEFAULT_CONFIG, ConfigOption, load_station

if TYPE_CHECKING:
    from services.core.ats import Finding
    from services.core.config.station import Station

app = typer.Typer(help="The automatic transfer switch.", epilog=EPILOG, no_args_is_help=True)

_WARNING = """This opens P1 {count} for {seconds:.0f} s each; the load then runs from the battery, or for a moment from nothing at all.
Nothing that must not lose power may hang on this load now: no medical equipment, no computer that controls this station, no router.
Plug in a steady load, such as a lamp. The running station is held in mode 2 meanwhile; Ctrl-C closes P1 at once."""


@app.callback()
def _group() -> None:
    """Keep `test` a sub-command: it is the only one so far."""


@app.command("test", epilog=EPILOG)
def measure(
    config: ConfigOption = DEFAULT_CONFIG,
    cycles: Annotated[int, typer.Option(min=1, max=5, help="How often P1 is opened.")] = 2,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: open P1, and write the station file.")] = False,
    write: Annotated[bool, typer.Option("--write/--no-write", help="Write what was found into the station file.")] = True,
) -> None:
    """Measure the transfer switch's priority, delay and gap on the running station. Takes about half a minute a cycle.

    Example: sps ats test

    Example: sps ats test --cycles 3 --no-write
    """
    import asyncio

    from services.cli import ats_bench

    station = load_station(config)
    if station.positions.p1_inside:
        fail("there is no transfer switch to measure: P1 lies inside the power station", WRONG_USAGE)
    if station.hardware.inverter_first:
        fail("the priority is known, and mode 2 keeps P3 off; to measure anew, set transfer_switch.priority to unknown first", WRONG_USAGE)
    count = "once" if cycles == 1 else f"{cycles} times"
    typer.echo(_WARNING.format(count=count, seconds=ats_bench.OPEN_S))
    if not yes:
        if not sys.stdin.isatty():
            fail("nobody to ask; say --yes to go on", WRONG_USAGE)
        typer.confirm("Go on?", abort=True)
    try:
        found = asyncio.run(_measure(station, cycles))
    except CommandFailed as failure:
        fail(str(failure), failure.code)
    except KeyboardInterrupt:
        fail("stopped; P1 was told to close")
    _print(found)
    _conclude(config, found, write=write and (yes or typer.confirm(f"Write this into {config}?", default=True)))


async def _measure(station: "Station", cycles: int) -> "Finding":
    from services.cli.ats_bench import bench
    from services.core.ats import evaluate

    async with bench(station) as running:
        openings = [await running.open_once(lambda line: typer.echo(f"  {line}")) for _ in range(cycles)]
        return evaluate(running.samples, openings)


def _print(found: "Finding") -> None:
    typer.echo(f"priority  {found.priority.value}: {found.why}")
    if found.delay_s is not None:
        typer.echo(f"delay     {found.delay_s:.1f} s, give or take {found.delay_error_s:.1f} s")
    if found.gap_s is not None:
        typer.echo(f"gap       at most {found.gap_s:.1f} s (the readings resolve no less)")


def _conclude(config: Path, found: "Finding", *, write: bool) -> None:
    from services.bus.clock import SystemClock
    from services.cli import station_file
    from services.core.config.load import ConfigError
    from services.core.modes import AtsPriority

    if found.priority is AtsPriority.UNKNOWN:
        fail("the priority could not be told; the station file is left as it is, and events stay refused while it says 'unknown'")
    if not write:
        return
    fields = {"priority": found.priority.value}
    fields["delay_s"] = "null" if found.delay_s is None else f"{found.delay_s:.1f}"
    fields["gap_s"] = "null" if found.gap_s is None else f"{found.gap_s:.2f}"
    fields["measured_at"] = f'"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}"'
    try:
        station_file.write(config, station_file.with_fields(config.read_text(encoding="utf-8"), "transfer_switch", fields))
    except ConfigError as error:
        remedy = "swap the transfer switch's two inputs, and test again"
        fail(f"{config} is left as it is, for with this the station could not run: {error}. A remedy: {remedy}")
    except OSError as error:
        fail(f"{config} cannot be written: {error.strerror}")
    typer.echo(f"written into {config}; start `sps run` anew to use it")
