"""Exchanges what is in the state folders for what a backup holds: wholly proved before anything is touched, and never half in silence."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from services.bus import state_format, state_lock
from services.bus.clock import utc_now
from services.bus.secrets import secrets_folder
from services.cli.archive import BadArchive, Manifest, unpack
from services.cli.exits import CommandFailed

NEW = ".restore-new"
"""In each folder: what was unpacked and has not been put in place yet. In the folder itself, because each may be a disk of its own."""
BEFORE = ".before-restore-"
"""In each folder: what was there before, under a name that ends with the time."""

Told = Callable[[int], None]


def refuse_newer(path: Path, manifest: Manifest) -> None:
    """Raise BadArchive for a backup that this version could not read."""
    from services.recorder.schema import SCHEMA

    newer = [f"{service} (form {form})" for service, form in manifest.formats.items() if form > state_format.current(service)]
    if manifest.journal_schema is not None and manifest.journal_schema > SCHEMA:
        newer.append(f"the journal (schema {manifest.journal_schema})")
    if newer:
        raise BadArchive(
            f"{path} was made by version {manifest.software}, which writes {', '.join(newer)} in a newer form; install it again"
        )


def put_back(path: Path, manifest: Manifest, config: Path, var: Path, told: Told) -> list[str]:
    """Put the backup at `path` in place; returns what to tell the person.

    Raises BadArchive and OSError before anything was exchanged; CommandFailed when the station runs.
    """
    roots = {
        f"state/{service}": var / service
        for service in sorted({entry.name.split("/")[1] for entry in manifest.entries if entry.name.startswith("state/")})
    }
    roots |= {"config": config.parent, "secrets": secrets_folder(var)}
    try:
        # Every folder that is there, also those that the backup has nothing for: a station is stopped as a whole.
        names = {name.removeprefix("state/") for name in roots if name.startswith("state/")} | _standing(var)
        with state_lock.hold(var, sorted(names)):
            return _exchange(path, config, roots, told)
    except state_format.StateFolderError as error:
        raise CommandFailed(str(error)) from None


def _standing(var: Path) -> set[str]:
    return {folder.name for folder in var.glob("*") if (folder / state_lock.FILE).exists()}


def _exchange(path: Path, config: Path, roots: dict[str, Path], told: Told) -> list[str]:
    def target_of(name: str) -> Path:
        prefix = next(prefix for prefix in roots if name.startswith(f"{prefix}/"))
        return roots[prefix] / NEW / name.removeprefix(f"{prefix}/")

    _clear(roots)
    try:
        unpack(path, target_of, told)
        stamp = f"{utc_now():%Y%m%dT%H%M%S}"
        folders = [root for name, root in roots.items() if name.startswith("state/")]
        for folder in folders:
            (folder / state_format.RESTORING).touch()
        for folder in folders:
            _swap(folder, folder / f"{BEFORE}{stamp}")
        lines = (
            [f"{len(folders)} services put back into {folders[0].parent}; what was there is in {BEFORE}{stamp} in each folder"]
            if folders
            else []
        )
        lines += _beside(roots["config"], config) + _add(roots["secrets"])
        for folder in folders:
            (folder / state_format.RESTORING).unlink()
    finally:
        _clear(roots)
    return lines


def _clear(roots: dict[str, Path]) -> None:
    for root in roots.values():
        shutil.rmtree(root / NEW, ignore_errors=True)


def _swap(folder: Path, before: Path) -> None:
    before.mkdir(mode=0o700)
    for old in list(folder.iterdir()):
        if old.name not in (state_lock.FILE, state_format.RESTORING, NEW) and not old.name.startswith(BEFORE):
            old.rename(before / old.name)
    for new in list((folder / NEW).iterdir()):
        _give_to_owner(new, folder)
        new.rename(folder / new.name)
    _sync(folder)


def _give_to_owner(path: Path, folder: Path) -> None:
    """Where root puts back what another user's services will write."""
    if os.geteuid() != 0:
        return
    owner = folder.stat()
    for one in (path, *path.rglob("*")):
        os.chown(one, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(folder: Path, config: Path) -> list[str]:
    """Put the station file and the programmes where there are none; one that stands and differs is the person's."""
    lines = []
    for name, new in _unpacked(folder):
        target = config if name == Path("station.yaml") else folder / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(new, target)
            lines.append(f"{target} put back")
        elif target.read_bytes() != new.read_bytes():
            other = target.with_name(f"{target.name}.from-backup")
            shutil.copyfile(new, other)
            lines.append(f"{target} stands and differs: left as it is; the backup's is {other}")
    return lines


def _add(folder: Path) -> list[str]:
    """Put secrets where there are none."""
    lines = []
    for name, new in _unpacked(folder):
        target = folder / name
        if not target.exists():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.rename(target)
            lines.append(f"{target} put back")
        elif target.read_bytes() != new.read_bytes():
            lines.append(f"{target} stands and differs: left as it is")
    return lines


def _unpacked(folder: Path) -> Iterator[tuple[Path, Path]]:
    with contextlib.suppress(FileNotFoundError):
        for path in sorted((folder / NEW).rglob("*")):
            if path.is_file():
                yield path.relative_to(folder / NEW), path
