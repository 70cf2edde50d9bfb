"""`sps access`: the page's password and the API tokens, on the station's own machine, while it runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import EPILOG, WRONG_USAGE, fail
from services.cli.options import DEFAULT_VAR, VarOption

if TYPE_CHECKING:
    from services.gateway.access.store import Store

app = typer.Typer(help="The page's password and the API tokens.", epilog=EPILOG, no_args_is_help=True)
token_app = typer.Typer(help="API tokens for scripts: Authorization: Bearer ...", epilog=EPILOG, no_args_is_help=True)
app.add_typer(token_app, name="token")


@app.callback()
def access() -> None:
    """The page's password and the API tokens. What is changed here holds at once, also while the station runs."""


@app.command(epilog=EPILOG)
def password(
    generate: Annotated[bool, typer.Option("--generate", help="Make one and print it, instead of asking for one.")] = False,
    var: VarOption = DEFAULT_VAR,
) -> None:
    """Set the page's password anew; the old one is not asked for. Whoever is logged in is logged out.

    Example: sps access password

    Example: sps access password --generate
    """
    from services.gateway.access import passwords
    from services.gateway.access.first_password import where_it_lies
    from services.gateway.access.store import AccessState, AccessUnusable

    # Hidden where somebody types it; from a pipe it is the first line.
    word = passwords.generated() if generate else typer.prompt("New password", hide_input=True, confirmation_prompt=True)
    if (why := passwords.complaint(word)) is not None:
        fail(why.format(least=passwords.LEAST_LENGTH, most=passwords.GREATEST_LENGTH), WRONG_USAGE)
    kept = passwords.hashed(word)
    with _store(var) as store:
        try:
            store.change(lambda state: state.with_password(kept, own=True))
        except AccessUnusable as unusable:
            # The way out of a damaged file: its tokens are lost with it, and said to be.
            store.replace(AccessState(password_hash=kept, own_password=True, epoch=_fresh_epoch()))
            typer.echo(f"sps: {unusable}: it was written anew, without its tokens", err=True)
        if (first := where_it_lies(var)) is not None:
            first.unlink()
    typer.echo(f"the password is now: {word}" if generate else "the password is changed; everybody is logged out")


@app.command(epilog=EPILOG)
def logout(var: VarOption = DEFAULT_VAR) -> None:
    """Log out everybody, everywhere. API tokens stay.

    Example: sps access logout
    """
    from services.gateway.access.store import AccessState

    with _store(var) as store:
        store.change(AccessState.logged_out)
    typer.echo("everybody is logged out")


@token_app.command("make", epilog=EPILOG)
def make_token(
    name: Annotated[str, typer.Argument(help="What it is for, such as 'prometheus'.")],
    scope: Annotated[list[str], typer.Option("--scope", "-s", help="read, events, preferences or admin; may be repeated.")] = ["read"],  # noqa: B006 - typer copies it
    var: VarOption = DEFAULT_VAR,
) -> None:
    """Make an API token and print it, this once.

    Example: sps access token make prometheus

    Example: sps access token make "evening script" -s read -s events
    """
    from pydantic import ValidationError

    from services.bus.clock import utc_now
    from services.gateway.access import tokens
    from services.gateway.access.visitor import MEANING, SCOPES

    for wanted in scope:
        if wanted not in SCOPES:
            known = "; ".join(f"{one}: {meaning}" for one, meaning in MEANING.items())
            fail(f"there is no scope '{wanted}'; choose from {known}", WRONG_USAGE)
    try:
        word, kept = tokens.made(name, scope, utc_now())  # type: ignore[arg-type]  # checked above
    except ValidationError:
        fail(f"'{name}' cannot be its name; use up to 60 letters, digits, spaces and . , : @ + -", WRONG_USAGE)
    with _store(var) as store:
        store.change(lambda state: state.with_token(kept))
    typer.echo(word)


@token_app.command("list", epilog=EPILOG)
def list_tokens(var: VarOption = DEFAULT_VAR) -> None:
    """List the API tokens; the tokens themselves are kept nowhere.

    Example: sps access token list
    """
    with _store(var) as store:
        known = store.current().tokens
    for token in known:
        typer.echo(f"{token.id}  {token.made_at:%Y-%m-%d}  {', '.join(token.scopes):<24}  {token.name}")
    if not known:
        typer.echo("there is none")


@token_app.command("revoke", epilog=EPILOG)
def revoke_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As 'sps access token list' shows it.")], var: VarOption = DEFAULT_VAR
) -> None:
    """Accept an API token no longer.

    Example: sps access token revoke 3f9a12b4
    """
    with _store(var) as store:
        store.change(lambda state: state.without_token(token_id))
    typer.echo(f"token {token_id} is revoked")


@contextmanager
def _store(var: Path) -> "Iterator[Store]":
    """The record of access under `var`; what goes wrong with it ends the command in one line."""
    from services.gateway.access.store import AccessUnusable, Store

    folder = var / "gateway"
    if not folder.is_dir():
        fail(f"{folder} is not there: has the station run with this state folder? Name another one with --var", WRONG_USAGE)
    try:
        yield Store(folder)
    except AccessUnusable as unusable:
        fail(str(unusable))
    except OSError as error:
        fail(f"{error.filename or folder} cannot be used: {error.strerror}; run this as the user that the station runs as")


def _fresh_epoch() -> int:
    """One that no session of the lost file has."""
    import time

    return int(time.time())
