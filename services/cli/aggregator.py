"""`sps aggregator`: the pair's other half, its stations and its events."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from services.cli.exits import EPILOG, WRONG_USAGE, fail
from services.cli.options import DEFAULT_VAR, VarOption

if TYPE_CHECKING:
    from services.aggregator.desk import Desk
    from services.aggregator.runtime import Context
    from services.aggregator.store.events import Called
    from services.aggregator.store.stations import Enrolled

app = typer.Typer(
    help="The reference aggregator: call events, take stations in, see and export what came.", epilog=EPILOG, no_args_is_help=True
)

T = TypeVar("T")

DEFAULT_FILE = Path("config/aggregator.yaml")
FileOption = Annotated[Path, typer.Option("--config", envvar="SPS_AGGREGATOR_CONFIG", metavar="FILE", help="The aggregator's file.")]
EventId = Annotated[str, typer.Argument(metavar="ID", help="The event's id, as `sps aggregator events` shows it.")]
StationName = Annotated[str, typer.Argument(metavar="NAME", help="The station's name in the network.")]


@app.command(epilog=EPILOG)
def run(
    config: FileOption = DEFAULT_FILE,
    var: VarOption = DEFAULT_VAR,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what goes well, too.")] = False,
) -> None:
    """Run the aggregator: its broker, the stations' API and the fleet's page. Ctrl-C stops it.

    Example: sps aggregator run
    """
    import asyncio

    from services.aggregator.runtime import CannotStart
    from services.aggregator.service import run as serve
    from services.bus.runtime import set_up_logging, until_signalled
    from services.core.config.load import ConfigError

    set_up_logging("info" if verbose else "warning", "aggregator")
    chosen = context(config, var)
    file = chosen.file
    typer.echo(
        f"""
Aggregator of network '{file.network}'.

  page      http://{file.page.host}:{file.page.port}
  stations  http://{file.api.host}:{file.api.port}, and MQTT at {file.broker.host}:{file.broker.port}
  enrol     sps aggregator enrol NAME
  an event  sps aggregator schedule now --duration PT1H
  stop      Ctrl-C
"""
    )
    try:
        asyncio.run(until_signalled(serve(chosen)))
    except ConfigError as error:
        fail("; ".join(str(problem) for problem in error.problems), WRONG_USAGE)
    except CannotStart as error:
        fail(str(error))


@app.command(epilog=EPILOG)
def enrol(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The station's name; with --count the beginning of many.")],
    into: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the station's secrets there: its own folder `secrets`, on this machine.")
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Make new secrets; the old ones hold no longer.")] = False,
    count: Annotated[int, typer.Option(min=0, max=100_000, help="Take in so many: NAME-00001 and so on.")] = 0,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="With --count: write names and secrets into this file.")] = None,
    config: FileOption = DEFAULT_FILE,
    var: VarOption = DEFAULT_VAR,
) -> None:
    """Take a station in and print what goes into its file. Said again, it prints the same.

    Example: sps aggregator enrol demo --into secrets

    Example: sps aggregator enrol fleet --count 1000 --csv fleet.csv
    """
    from services.cli import aggregator_enrolment as paper

    if bool(count) != (csv is not None):
        fail("--count N and --csv FILE belong together: the file takes the secrets of many", WRONG_USAGE)
    if csv is not None and into is not None:
        fail("--into is for one station; leave it out, or --count and --csv", WRONG_USAGE)
    names = [f"{name}-{number:05d}" for number in range(1, count + 1)] if count else [name]
    with open_desk(config, var) as desk:
        # Renewed secrets that can be written nowhere would lock the station out.
        if csv is not None:
            with _writing(csv):
                paper.prepare_csv(csv)
        elif into is not None:
            with _writing(into):
                paper.prepare_folder(into)
        found = take_in(desk, names, renew=renew)
        if csv is not None:
            with _writing(csv):
                paper.write_csv(csv, found, desk.context.station_secrets())
            typer.echo(f"{len(found)} stations are enrolled; their secrets are in {csv}")
            return
        if into is not None:
            with _writing(into):
                written = paper.write_secrets(into, found[0], desk.context.station_secrets())
            for path in written:
                typer.echo(f"wrote {path}", err=True)
        typer.echo(paper.station_lines(desk.context, found[0], written=into is not None))


@app.command(epilog=EPILOG)
def withdraw(name: StationName, config: FileOption = DEFAULT_FILE, var: VarOption = DEFAULT_VAR) -> None:
    """Let a station in no more. What it sent stays until its person asks to have it deleted.

    Example: sps aggregator withdraw demo
    """
    with open_desk(config, var) as desk:
        try:
            gone = desk.withdraw(name)
        except OSError as error:
            fail(f"{error.filename} cannot be written: {error.strerror}")
    if not gone:
        fail(f"station {name} is not enrolled; see: sps aggregator fleet")
    typer.echo(f"{name} is withdrawn")


@app.command(epilog=EPILOG)
def key(config: FileOption = DEFAULT_FILE, var: VarOption = DEFAULT_VAR) -> None:
    """Print the public key by which stations know this aggregator's events.

    Example: sps aggregator key
    """
    chosen = context(config, var)
    typer.echo(f"{chosen.file.key_id}: {started(chosen.public_key)}")


@app.command(epilog=EPILOG)
def password(config: FileOption = DEFAULT_FILE, var: VarOption = DEFAULT_VAR) -> None:
    """Set the page's password; it is asked for. A running page takes the new one at once.

    Example: sps aggregator password
    """
    from services.aggregator.page.access import Access

    chosen = context(config, var)
    text = typer.prompt("New password", hide_input=True, confirmation_prompt=True)
    try:
        chosen.state.mkdir(parents=True, exist_ok=True)
        access = Access(chosen.state, chosen.secrets, guarded=False)
        access.set_password(text)
        access.first_password.unlink(missing_ok=True)
    except ValueError as error:
        fail(str(error), WRONG_USAGE)
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}")
    typer.echo("set")


def context(config: Path, var: Path) -> "Context":
    """The aggregator that `config` describes; ends the command with code 2 and every problem found when there is none."""
    from services.aggregator.config import load_file
    from services.aggregator.runtime import make_context
    from services.bus.secrets import secrets_folder
    from services.core.config.load import ConfigError

    if not config.exists():
        fail(f"there is no file {config}; name yours with --config, or copy config/aggregator.yaml", WRONG_USAGE)
    try:
        file = load_file(config, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(f"{config}: {problem}", err=True)
        raise typer.Exit(WRONG_USAGE) from None
    folder = os.environ.get("SPS_SECRETS")
    return make_context(file, var, Path(folder) if folder else secrets_folder(var))


@contextmanager
def open_desk(config: Path, var: Path) -> "Iterator[Desk]":
    """What commands act on; ends the command when the database or a secret cannot be used, then or later."""
    from sqlalchemy.exc import SQLAlchemyError

    from services.aggregator.desk import Desk
    from services.aggregator.runtime import CannotStart

    chosen = context(config, var)
    try:
        desk = Desk(chosen, chosen.open_database())
        try:
            yield desk
        finally:
            desk.engine.dispose()
    except CannotStart as error:
        fail(str(error))
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        fail(f"the database cannot be used: {why.splitlines()[0]}; see that it runs and is this user's to write, and try again")


def take_in(desk: "Desk", names: list[str], *, renew: bool = False) -> "list[Enrolled]":
    """Enrol `names`; ends the command when that cannot be."""
    from services.core.events import BadValue

    try:
        return desk.enrol(names, renew=renew)
    except BadValue as bad:
        fail(str(bad), WRONG_USAGE)
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}")


def event_line(one: "Called", desk: "Desk") -> str:
    """An event for a person."""
    start, end = (moment.astimezone(desk.context.file.zone) for moment in (one.start, one.end))
    to = f"{len(one.stations)} stations" if one.stations else "all"
    state = "cancelled" if one.cancelled else f"revision {one.revision}"
    return f"{one.id}  {start:%Y-%m-%d %H:%M} to {end:%H:%M %Z}  to {to}  {state}"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")


def started(make: Callable[[], T]) -> T:
    """What `make` makes; ends the command when it cannot."""
    from services.aggregator.runtime import CannotStart

    try:
        return make()
    except CannotStart as error:
        fail(str(error))
