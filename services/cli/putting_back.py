"""Exchanges what is in the state folders for what a backup holds: wholly proved before anything is touched, and never half in silence."""

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import count
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
    services = sorted({entry.name.split("/")[1] for entry in manifest.entries if entry.name.startswith("state/")})
    folders = {service: var / service for service in services}
    try:
        # Every folder that is there, also those that the backup has nothing for: a station is stopped as a whole.
        with state_lock.hold(var, sorted({*folders, *_standing(var)})), tempfile.TemporaryDirectory(prefix=".sps-restore-") as scratch:
            rest = Path(scratch)
            told_of_state = _exchange(path, folders, rest, told)
            return [told_of_state, *_beside(rest / "config", config), *_add(rest / "secrets", var)]
    except state_format.StateFolderError as error:
        raise CommandFailed(str(error)) from None


def _standing(var: Path) -> set[str]:
    return {folder.name for folder in var.glob("*") if (folder / state_lock.FILE).exists()}


def _exchange(path: Path, folders: dict[str, Path], scratch: Path, told: Told) -> str:
    """Prove and unpack everything, then exchange the state folders; the rest is left in `scratch`."""

    def target_of(name: str) -> Path:
        part, _, rest = name.partition("/")
        if part != "state":
            return scratch / name
        service, _, file = rest.partition("/")
        return folders[service] / NEW / file

    _clear(folders.values())
    try:
        unpack(path, target_of, told)
        before = _unused(folders.values())
        for folder in folders.values():
            (folder / state_format.RESTORING).touch()
        _swap_all(folders.values(), before)
    finally:
        _clear(folders.values())
    return f"put back: {', '.join(folders)}; what was there is in {before} in each folder"


def _unused(folders: Iterable[Path]) -> str:
    """A name for what was there before that no folder has yet, though restores may follow one another at once."""
    stamp = f"{BEFORE}{utc_now():%Y%m%dT%H%M%S}"
    names = (stamp if number == 1 else f"{stamp}-{number}" for number in count(1))
    return next(name for name in names if not any((folder / name).exists() for folder in folders))


def _swap_all(folders: Collection[Path], before: str) -> None:
    """Exchange each folder's content and take its mark away. Raises CommandFailed: then the marks stand, and no service starts."""
    try:
        for folder in folders:
            _swap(folder, folder / before)
        for folder in folders:
            (folder / state_format.RESTORING).unlink()
    except OSError as error:
        raise CommandFailed(
            f"half of it is exchanged: {error}; mend that and restore the same file again."
            f" Nothing is lost: what was there is in {before} in each folder"
        ) from error


def _clear(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder / NEW, ignore_errors=True)


def _swap(folder: Path, before: Path) -> None:
    before.mkdir(mode=0o700)
    _give_to_owner(before, folder)
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


def _beside(unpacked: Path, config: Path) -> list[str]:
    """Put the station file and the programmes where there are none; one that stands and differs is the person's."""
    lines = []
    for name, new in _files(unpacked):
        target = config if name == Path("station.yaml") else config.parent / name
        if not target.exists():
            lines.append(_placed(new, target))
        elif target.read_bytes() != new.read_bytes():
            other = target.with_name(f"{target.name}.from-backup")
            lines.append(f"{target} stands and differs: left as it is; the backup's: {_placed(new, other)}")
    return lines


def _add(unpacked: Path, var: Path) -> list[str]:
    """Put secrets where there are none."""
    lines = []
    for name, new in _files(unpacked):
        target = secrets_folder(var) / name
        if not target.exists():
            lines.append(_placed(new, target, mode=0o700))
        elif target.read_bytes() != new.read_bytes():
            lines.append(f"{target} stands and differs: left as it is")
    return lines


def _placed(new: Path, target: Path, mode: int = 0o777) -> str:
    standing = next(folder for folder in target.absolute().parents if folder.exists())
    missing = [folder for folder in target.absolute().parents if standing in folder.parents]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=mode, exist_ok=True)
            _give_to_owner(folder, standing)
        shutil.copy(new, target)  # with its mode: private
        _give_to_owner(target, standing)
    except OSError as error:
        return f"{target} cannot be written ({error.strerror}): take it out of the backup by hand"
    return f"{target} put back"


def _files(folder: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder), path
