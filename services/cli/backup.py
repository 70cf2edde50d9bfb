"""`sps backup`: everything that a station knows, in one file, while it runs."""

import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.exits import WRONG_USAGE, CommandFailed, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, AskedVarOption, ConfigOption, load_station, recorder_headers

if TYPE_CHECKING:
    from services.core.config.station import Station

SUFFIX = ".sps.tar.gz"


def backup(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help=f"Where to write. Default: <station>-<date>-<time>{SUFFIX} in this folder; - for standard output."
        ),
    ] = None,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Passwords and keys, too: keep such a file as you keep them.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    var: AskedVarOption = DEFAULT_VAR,
) -> None:
    """Write state, journal and configuration into one file, while the station runs or while it is stopped.

    The file is complete or not there. Without --with-secrets it holds no password: `sps setup` makes new ones, and those of your relays
    have to be written into `secrets` again.

    Example: sps backup

    Example: sps backup /mnt/usb/station.sps.tar.gz --with-secrets
    """
    station = load_station(config)
    if not var.is_dir():
        fail(f"there is no state folder {var}; name yours with --var", WRONG_USAGE)
    if with_secrets:
        _refuse_a_part(var)
    if str(file) == "-":
        _to_standard_output(station, config, var, with_secrets=with_secrets)
        return
    target = file or Path(f"{station.station}-{_now()}{SUFFIX}")
    if target.is_dir():
        target /= f"{station.station}-{_now()}{SUFFIX}"
    size, count = _made(station, config, var, target, with_secrets=with_secrets)
    typer.echo(f"{count} files, {size / 1e6:.1f} MB: {target}")
    if not with_secrets:
        typer.echo("It holds no passwords; --with-secrets adds them.")


def _refuse_a_part(var: Path) -> None:
    """A container has its own secrets and no other's: a backup of those would be taken for one of all."""
    from services.bus.access import USERS
    from services.bus.deployment import here
    from services.bus.secrets import MQTT, secrets_folder

    secrets = secrets_folder(var)
    if here().broker_host is not None and not all((secrets / MQTT / user).exists() for user in USERS):
        fail(
            f"{secrets} holds this container's own secrets and not the station's; leave out --with-secrets, and copy ./secrets"
            " (or what SPS_SECRETS_FOLDER names) on the host beside the backup"
        )


def _to_standard_output(station: "Station", config: Path, var: Path, *, with_secrets: bool) -> None:
    if sys.stdout.isatty():
        fail("a backup is nothing to look at; send it somewhere: sps backup - > station.sps.tar.gz", WRONG_USAGE)
    with tempfile.TemporaryDirectory(prefix=".sps-backup-", dir=_room(var)) as scratch:
        whole = Path(scratch) / "whole"
        _made(station, config, var, whole, with_secrets=with_secrets)
        with whole.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)


def _room(var: Path) -> Path | None:
    """Where a backup is put together that goes to standard output: on the journal's disk, since /tmp may be memory; None: in /tmp."""
    if "TMPDIR" in os.environ:
        return None
    return next((folder for folder in (var / "recorder", var) if os.access(folder, os.W_OK)), None)


def _made(station: "Station", config: Path, var: Path, target: Path, *, with_secrets: bool) -> tuple[int, int]:
    """Size and number of files; ends the command where no backup can be made."""
    try:
        return _write(station, config, var, target, with_secrets=with_secrets)
    except CommandFailed as failure:
        fail(str(failure), failure.code)
    except (OSError, sqlite3.Error) as error:
        fail(f"no backup was made: {error}")


def _now() -> str:
    from services.bus.clock import utc_now

    return f"{utc_now():%Y%m%d-%H%M%S}"


def _write(station: "Station", config: Path, var: Path, target: Path, *, with_secrets: bool) -> tuple[int, int]:
    from services.bus.secrets import secrets_folder
    from services.cli import archive, collecting

    target.parent.mkdir(parents=True, exist_ok=True)
    secrets = secrets_folder(var) if with_secrets else None
    # Beside the target, not in /tmp, which on a small board is memory.
    with tempfile.TemporaryDirectory(prefix=".sps-backup-", dir=target.parent) as scratch, transfer_progress() as progress:
        staging = Path(scratch)
        row = progress.add_task("journal", total=None)
        copy = staging / collecting.JOURNAL
        running = collecting.fetch_journal(
            station, recorder_headers(), copy, lambda done, size: progress.update(row, completed=done, total=size)
        )
        journal = running or collecting.copy_stopped_journal(var, copy)
        files = collecting.gather(config, var, secrets, staging)
        if journal:
            files[collecting.JOURNAL] = copy
        entries = collecting.entries(files)
        manifest = _manifest(station, var, entries, collecting.schema_of(copy) if journal else None)
        row = progress.add_task("writing", total=sum(entry.size for entry in entries))
        whole = staging / "whole"
        with whole.open("xb") as output:
            whole.chmod(0o600)
            archive.write(output, manifest, files, lambda count: progress.advance(row, count))
            output.flush()
            os.fsync(output.fileno())
        whole.replace(target)
    return target.stat().st_size, len(entries)


def _manifest(station: "Station", var: Path, entries: Any, schema: int | None) -> Any:
    from importlib.metadata import version

    from services.bus.clock import utc_now
    from services.bus.state_format import stamped
    from services.cli import archive, collecting

    return archive.Manifest(
        station=station.station,
        made_at=utc_now().isoformat(timespec="seconds"),
        software=version("smart-power-station"),
        formats={service: stamped(var / service)[0] for service in collecting.services_of(var)},
        journal_schema=schema,
        entries=entries,
    )


def transfer_progress() -> Any:
    """Bars that count bytes, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    return Progress(TextColumn("{task.description:>8}"), BarColumn(), DownloadColumn(), console=Console(stderr=True), transient=True)
