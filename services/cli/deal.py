"""`sps deal`: hand each container its own secrets. Run by the setup container."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.exits import fail
from services.cli.options import DEFAULT_CONFIG, ConfigOption, SecretsOption, load_station, secrets_of


def deal(
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Where each container's folder is.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets: SecretsOption = None,
) -> None:
    """Hand each container its own secrets, after sps setup has made them. Needs root.

    Example: sps deal --secrets secrets --to /deal
    """
    from services.bus.provision.dealing import Undealt, hands
    from services.bus.provision.dealing import deal as hand_out

    station = load_station(config)
    try:
        changed = hand_out(hands(station), secrets or secrets_of(), to)
    except Undealt as missing:
        fail(f"{missing}; nothing was handed out")
    except OSError as error:
        fail(f"{error.filename or to} cannot be written ({error.strerror}); sps deal needs root")
    typer.echo(f"{len(changed)} files handed out" if changed else "every container has its secrets")
