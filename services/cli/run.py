"""`sps run`: everything on one machine, in one process (the simulated house in its own)."""

import asyncio
import logging
import os
import shutil
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import WRONG_USAGE, CommandFailed, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, ConfigOption, VarOption, load_station

if TYPE_CHECKING:
    from services.bus.runtime import Context
    from services.core.config.station import Station

DEFAULT_MQTT_PORT = 1883


def run(
    config: ConfigOption = DEFAULT_CONFIG,
    var: VarOption = DEFAULT_VAR,
    speed: Annotated[
        float | None,
        typer.Option(
            envvar="SPEED", min=1, max=3600, help="Station seconds per real second, in a simulation. Default: the station file's."
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="SERVICE", help="Run just this service, without broker and simulator; may be repeated.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser, if there is a display.")] = True,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what goes well, too.")] = False,
) -> None:
    """Run the station: broker, services and page; with a simulated clock, the simulated house too. Ctrl-C stops it.

    Example: sps run

    Example: sps run --speed 1

    Example: sps run --only controller --config my-station.yaml
    """
    from services.bus import state_format
    from services.bus.runtime import make_context
    from services.cli import preflight, supervisor

    station = _at_speed(load_station(config), speed)
    names = tuple(dict.fromkeys(only)) if only else supervisor.wanted(station)
    for name in names:
        if name not in supervisor.SERVICES:
            fail(f"there is no service '{name}'; choose from {', '.join(supervisor.SERVICES)}", WRONG_USAGE)
        if name not in supervisor.wanted(station):
            fail(f"station '{station.station}' has no use for {name}: its configuration does not ask for it", WRONG_USAGE)
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        context = make_context(station, var)
        simulated = station.clock == "simulated" and not only
        with preflight.claim(var, names):
            state_format.admit(var, [*names, "simulator"] if simulated else names)
            if only:
                _run_some(context, names)
            else:
                _run_house(context, config, open_page=open_page)
    except state_format.StateFolderError as error:
        fail(str(error))
    except CommandFailed as failure:
        fail(str(failure), failure.code)


def _at_speed(station: "Station", speed: float | None) -> "Station":
    if speed is None:
        return station
    if station.clock != "simulated":
        fail("--speed (or SPEED) is for the simulated station; this one has 'clock: system' and runs in real time", WRONG_USAGE)
    return station.model_copy(update={"simulation": station.simulation.model_copy(update={"speed": speed})})


def _run_some(context: "Context", names: Sequence[str]) -> None:
    from services.cli import house, preflight

    preflight.refuse_taken(preflight.listeners(context.station, names, simulator=False))
    asyncio.run(house.serve(context, house.Plan(names)))


def _run_house(context: "Context", config: Path, *, open_page: bool) -> None:
    """Check, seed, then run broker, simulator and all services."""
    from services.cli import house, preflight, seeding, simulation, supervisor
    from services.cli.unproved import unproved

    station = context.station
    simulated = station.clock == "simulated"
    names = supervisor.wanted(station)
    wanted = preflight.listeners(station, names, simulator=simulated and simulation.living(station) is None)
    preflight.refuse_taken([preflight.broker_listener(station), *wanted] if station.broker.start else wanted)
    if simulated:
        seeding.seed_first_start(station, context.var)
    for line in unproved(station, context.var):
        typer.echo(f"before the first event: {line}", err=True)
    plan = house.Plan(
        services=names,
        broker=station.broker.start,
        simulator=simulation.SimulatorProcess(station, config, context.var) if simulated else None,
        ready=lambda: _welcome(context, config, open_page=open_page),
    )
    asyncio.run(house.serve(context, plan))
    typer.echo("stopped")


def _welcome(context: "Context", config: Path, *, open_page: bool) -> None:
    """Say what to look at and what to type."""
    from services.gateway.access.first_password import where_it_lies

    station = context.station
    first = where_it_lies(context.var) if station.web.asks else None
    password = f"\n            the first password lies in {first}" if first else ""
    page = station.web.url
    port = "" if station.broker.port == DEFAULT_MQTT_PORT else f" -p {station.broker.port}"
    body = '{"start":"now","duration":"PT1H"}'
    other = "" if config == DEFAULT_CONFIG else f" --config {config}"
    pace = f", simulated at {station.simulation.speed:g} x speed" if station.clock == "simulated" else ""
    sps = _typed_as()
    typer.echo(
        f"""
Station '{station.station}' is running{pace}.

  page      {page}{password}
  an event  mosquitto_pub -h {station.broker.host}{port} -t sps/{station.station}/event/command -m '{body}'
            or, without mosquitto_pub: {sps} event schedule now --duration PT1H{other}
  report    {sps} report{other}
  stop      Ctrl-C
"""
    )
    if open_page and sys.stdout.isatty() and (sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ):
        webbrowser.open(page)


def _typed_as() -> str:
    """How this command is called from here: by its name, or by its path where the name is not on PATH."""
    called = Path(sys.argv[0])
    if shutil.which("sps") is not None or called.name != "sps":
        return "sps"
    return os.path.relpath(called)
