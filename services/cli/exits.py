"""How a command ends: exit codes, and the one line that says why."""

from typing import NoReturn

import typer

OK = 0
FAILED = 1
"""What was asked could not be done: a port in use, no answer, an event refused."""
WRONG_USAGE = 2
"""What was typed, or the station file, is wrong."""

EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage or a wrong station file."


class CommandFailed(Exception):
    """Ends the command with one line for a person."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say `message` on standard error and end the command with `code`."""
    typer.echo(f"sps: {message}", err=True)
    raise typer.Exit(code)
