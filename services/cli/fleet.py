"""`sps fleet simulate`: light stations against an aggregator."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.aggregator import DEFAULT_FILE, FileOption
from services.cli.exits import EPILOG, WRONG_USAGE, fail
from services.cli.options import DEFAULT_VAR, VarOption

if TYPE_CHECKING:
    from services.simulator.fleet.crowd import Credentials

app = typer.Typer(help="Many light stations against an aggregator.", epilog=EPILOG, no_args_is_help=True)
SPARE_FILES = 300
"""Beside the connections: libraries, threads, uploads."""


@app.callback()
def _group() -> None:
    """Keep `simulate` a command of its own."""


@app.command(epilog=EPILOG)
def simulate(
    number: Annotated[int, typer.Argument(metavar="N", min=1, max=100_000, help="How many stations.")],
    url: Annotated[str | None, typer.Option(metavar="URL", help="The stations' API. Default: as the aggregator's file says.")] = None,
    broker: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Its broker. Default: as the aggregator's file says.")] = None,
    stations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Names and secrets, by `sps aggregator enrol --count`. Default: enrol them here, on this machine."
        ),
    ] = None,
    history: Annotated[int, typer.Option(min=0, max=2000, metavar="HOURS", help="Upload so many past hours of each at the start.")] = 24,
    opt_out: Annotated[float, typer.Option(min=0, max=1, help="The share that opts out of an event.")] = 0.02,
    seconds: Annotated[float | None, typer.Option("--for", min=1, metavar="SECONDS", help="End by itself after so long.")] = None,
    seed: Annotated[int, typer.Option(help="Of who opts out.")] = 1,
    config: FileOption = DEFAULT_FILE,
    var: VarOption = DEFAULT_VAR,
) -> None:
    """Run N light stations: each connects, answers events, plays them through in a closed form, and uploads hourly records.

    Example: sps fleet simulate 100

    Example: sps fleet simulate 1000 --url http://127.0.0.1:8090 --broker 127.0.0.1:1884 --for 600
    """
    import asyncio
    import logging

    from services.bus.runtime import until_signalled
    from services.cli.aggregator import context, started
    from services.simulator.fleet.play import Play, play

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    _allow_files(number)
    chosen = context(config, var)
    file, ca_file = chosen.file, chosen.secret_path(chosen.file.broker.ca_file)
    _check_ca(ca_file)
    plan = Play(
        credentials=_credentials(number, stations, config, var),
        network=file.network,
        broker=_address(broker) if broker else (file.broker.host, file.broker.port),
        url=url or file.api.for_stations,
        keys={file.key_id: started(chosen.public_key)},
        history_hours=history,
        opt_out=opt_out,
        seed=seed,
        tls=file.broker.tls,
        ca_file=ca_file,
        seconds=seconds,
        memory=chosen.state / "fleet.json",
    )
    asyncio.run(until_signalled(play(plan, say=typer.echo)))


def _credentials(number: int, path: Path | None, config: Path, var: Path) -> "list[Credentials]":
    from services.cli.aggregator import open_desk, take_in
    from services.simulator.fleet.crowd import Credentials

    if path is None:
        with open_desk(config, var) as desk:
            secrets = desk.context.station_secrets()
            found = take_in(desk, [f"fleet-{one:05d}" for one in range(1, number + 1)])
            return [Credentials(one.name, secrets.mqtt(one.name, one.generation), secrets.http(one.name, one.generation)) for one in found]
    import csv

    from services.aggregator.desk import check_name
    from services.core.events import BadValue

    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [Credentials(row["name"] or "", row["mqtt"] or "", row["http"] or "") for row in csv.DictReader(file)]
        for row in rows:
            check_name(row.name)
    except (OSError, KeyError, UnicodeDecodeError, csv.Error, BadValue) as error:
        fail(f"{path} cannot be used ({error}); make one with: sps aggregator enrol fleet --count {number} --csv {path}", WRONG_USAGE)
    if len(rows) < number:
        fail(f"{path} has {len(rows)} stations, and {number} were asked for", WRONG_USAGE)
    if len({row.name for row in rows}) < len(rows):
        # The broker lets a station in once: two would throw each other out for ever.
        fail(f"{path} names a station twice", WRONG_USAGE)
    return rows[:number]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        fail(f"--broker {text}: write host:port, such as 127.0.0.1:1884", WRONG_USAGE)
    return host, int(port)


def _check_ca(path: Path | None) -> None:
    import ssl

    if path is not None:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            fail(f"{path} cannot be used for broker.ca_file: {error.strerror or error}", WRONG_USAGE)


def _allow_files(number: int) -> None:
    """Raise this process's limit of open files to what it needs; ends the command where that is not allowed."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = number + SPARE_FILES
    if soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        fail(f"{number} stations need {needed} open files, and this system allows {hard}; raise it with ulimit -Hn, or ask for fewer")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
