"""`sps notify test`: whether the station's messages reach their people."""

import asyncio
from typing import TYPE_CHECKING

import typer

from services.cli.exits import EPILOG, FAILED, WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, ConfigOption, VarOption, load_station

if TYPE_CHECKING:
    from services.gateway.notify.sender import Sender

app = typer.Typer(help="Messages to phones and mailboxes.", epilog=EPILOG, no_args_is_help=True)


@app.callback()
def notify() -> None:
    """Messages to phones and mailboxes, as `notifications:` in the station file says."""


@app.command("test", epilog=EPILOG)
def try_targets(config: ConfigOption = DEFAULT_CONFIG, var: VarOption = DEFAULT_VAR) -> None:
    """Send a test message to every target, from here, whether or not the station runs.

    Example: sps notify test
    """
    from services.gateway.notify.sender import Sender

    targets = load_station(config).notifications.to
    if not targets:
        fail("nobody is to be notified: name a secret with an apprise URL under 'notifications: to:' in the station file", WRONG_USAGE)
    if not asyncio.run(_all(Sender(var), targets)):
        raise typer.Exit(FAILED)


async def _all(sender: "Sender", targets: tuple[str, ...]) -> bool:
    from services.gateway.notify.sender import DeliveryFailed
    from services.gateway.notify.testing import TEST

    fine = True
    for target in targets:
        try:
            await sender.send(target, *TEST)
            typer.echo(f"{target}: delivered")
        except DeliveryFailed as failed:
            typer.echo(f"sps: {failed}", err=True)
            fine = False
    return fine
