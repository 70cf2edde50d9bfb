"""`sps services`: which services this station has a use for."""

from typing import Annotated

import typer

from services.cli.exits import FAILED, WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, ConfigOption, load_station


def services(
    wants: Annotated[
        str | None, typer.Option("--wants", metavar="SERVICE", help="Say only whether this one is of use: exit 0 if it is, 1 if not.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List the services that this station has a use for, one a line, for whatever starts them.

    Example: sps services

    Example: sps services --wants ina260_reader
    """
    from services.bus.idle import unused
    from services.cli.supervisor import SERVICES

    station = load_station(config)
    known = (*SERVICES, "simulator")
    if wants is None:
        for name in known:
            if unused(name, station) is None:
                typer.echo(name)
        return
    if wants not in known:
        fail(f"there is no service '{wants}'; choose from {', '.join(known)}", WRONG_USAGE)
    if (why := unused(wants, station)) is not None:
        typer.echo(f"station '{station.station}' has no use for {wants}: {why}")
        raise typer.Exit(FAILED)
