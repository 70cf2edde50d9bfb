"""The options that several commands share."""

from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import WRONG_USAGE, fail

if TYPE_CHECKING:
    from services.core.config.station import Station

ConfigOption = Annotated[
    Path, typer.Option("--config", envvar="SPS_CONFIG", show_default=True, metavar="FILE", help="The station's description.")
]
_var: ContextVar[Path | None] = ContextVar("the state folder that --var names", default=None)


def _note(var: Path) -> Path:
    _var.set(var)
    return var


VarOption = Annotated[
    Path,
    typer.Option("--var", envvar="SPS_VAR", show_default=True, metavar="FOLDER", callback=_note, help="Where all state is kept."),
]
AskedVarOption = Annotated[
    Path,
    typer.Option(
        "--var",
        envvar="SPS_VAR",
        show_default=True,
        metavar="FOLDER",
        callback=_note,
        help="Where the station keeps its state; the recorder's token is in it.",
    ),
]
"""For commands that ask the recorder: `recorder_headers` finds it again."""
DEFAULT_CONFIG = Path("config/station.yaml")
DEFAULT_VAR = Path("var")


def recorder_headers() -> dict[str, str]:
    """What a question to the recorder carries: its token, if there is one in the state folder (--var, SPS_VAR, or `var`)."""
    import os

    from services.bus.recorder_token import headers

    return headers(_var.get() or Path(os.environ.get("SPS_VAR", DEFAULT_VAR)))


SecretsOption = Annotated[
    Path | None,
    typer.Option(
        "--secrets", envvar="SPS_SECRETS", metavar="FOLDER", help="Where secrets lie. Default: `secrets` beside the state folder."
    ),
]


def secrets_of() -> Path:
    """The folder of secrets: SPS_SECRETS, else beside the state folder (--var, SPS_VAR, or `var`)."""
    import os

    from services.bus.secrets import secrets_folder

    told = os.environ.get("SPS_SECRETS")
    return Path(told) if told else secrets_folder(_var.get() or Path(os.environ.get("SPS_VAR", DEFAULT_VAR)))


def load_station(path: Path) -> "Station":
    """The checked station in `path`; ends the command with code 2 and every problem found when there is none."""
    from services.bus.runtime import load_station as load
    from services.core.config.load import ConfigError

    if not path.exists():
        fail(f"there is no file {path}; name yours with --config, or copy config/station.yaml", WRONG_USAGE)
    try:
        station = load(path)
        _refuse_unusable_devices(station)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(f"{path}: {problem}" if problem.line else f"sps: {problem}", err=True)
        raise typer.Exit(WRONG_USAGE) from None
    return station


def _refuse_unusable_devices(station: "Station") -> None:
    """Raise ConfigError for a driver that there is not, or an address that its driver cannot use; nothing is sent."""
    from services.bluetti_bridge import registry as stations
    from services.core.config.load import ConfigError, Problem
    from services.relay_bridge import registry as relays

    problems = []
    positions = {f"positions.{name}": device for name, device in station.positions.relays().items()}
    for field, device in (positions | {f"loads.{name}": load for name, load in station.loads.items()}).items():
        try:
            relays.connect(device, lambda: 0.0).close()
        except ValueError as error:
            if not _only_missing_here(error):
                problems.append(Problem(None, field, "", str(error)))
    if station.battery.has_data_link:
        try:
            stations.connect(station.battery).close()
        except ValueError as error:
            if not _only_missing_here(error):
                problems.append(Problem(None, "battery", "", str(error)))
    if problems:
        raise ConfigError(problems)


def _only_missing_here(error: ValueError) -> bool:
    """Whether a driver lacks a library here, where this is but one of the containers that a station is made of."""
    from services.bus.deployment import here

    return here().broker_host is not None and isinstance(error.__context__, ImportError)
