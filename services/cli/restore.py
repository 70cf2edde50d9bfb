"""`sps restore`: a station as it was when a backup was made."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import WRONG_USAGE, CommandFailed, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, ConfigOption, VarOption

if TYPE_CHECKING:
    from services.cli.archive import Manifest


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `sps backup` wrote; - reads it from standard input, and needs --yes.")],
    config: ConfigOption = DEFAULT_CONFIG,
    var: VarOption = DEFAULT_VAR,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put a backup back. The station must be stopped; what was there before is kept beside it.

    A station file that stands already and differs is left alone, and the backup's is written beside it.

    Example: sps restore demo-20260701-0300.sps.tar.gz
    """
    if str(file) == "-":
        if not yes:
            fail("from standard input nothing can be asked; add --yes", WRONG_USAGE)
        with tempfile.NamedTemporaryFile(prefix=".sps-restore-", suffix=".tar.gz") as spooled:
            shutil.copyfileobj(sys.stdin.buffer, spooled)
            spooled.flush()
            _restore(Path(spooled.name), config, var, yes=yes)
    else:
        _restore(file, config, var, yes=yes)


def _restore(file: Path, config: Path, var: Path, *, yes: bool) -> None:
    from services.cli import archive, putting_back
    from services.cli.backup import transfer_progress

    try:
        manifest = archive.read_manifest(file)
        putting_back.refuse_newer(file, manifest)
        _agreed(file, manifest, var, yes=yes)
        with transfer_progress() as progress:
            row = progress.add_task("reading", total=sum(entry.size for entry in manifest.entries))
            result = putting_back.put_back(file, manifest, config, var, lambda count: progress.advance(row, count))
    except archive.BadArchive as bad:
        fail(str(bad))
    except CommandFailed as failure:
        fail(str(failure), failure.code)
    except OSError as error:
        fail(f"nothing was put back: {error}")
    for line in result:
        typer.echo(line)


def _agreed(file: Path, manifest: "Manifest", var: Path, *, yes: bool) -> None:
    typer.echo(
        f"{file}: station '{manifest.station}', made {manifest.made_at} by version {manifest.software}, {len(manifest.entries)} files"
    )
    if not yes and any(var.glob("*/*")) and not typer.confirm(f"Put it in place of what is in {var}?"):
        raise CommandFailed("nothing was changed")
