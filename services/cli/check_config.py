"""`sps check-config`: whether the station file is right, and what its hardware allows."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.options import DEFAULT_CONFIG, load_station


def check_config(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The station's description.")] = DEFAULT_CONFIG,
) -> None:
    """Check a station file, and say which modes its hardware allows.

    A wrong file is answered with the line, the field, its value and what would be right, one problem a line (exit 2).

    Example: sps check-config

    Example: sps check-config my-station.yaml
    """
    from services.core.modes import Mode, refusal

    station = load_station(file)
    typer.echo(f"{file} is right: station '{station.station}', {station.timezone}, clock {station.clock}")
    for mode in Mode:
        why = refusal(mode, station.hardware)
        name = mode.name.lower().replace("_", " ")
        typer.echo(f"  mode {mode.value}  {name:20} {'possible' if why is None else f'not possible: {why}'}")
    if station.positions.p4 is None:
        typer.echo("  P4 is left out: no solar panel is measured")
