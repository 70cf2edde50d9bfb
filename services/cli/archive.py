"""The one file of `sps backup`: a compressed tar with a manifest in front, which says what is in it and how each file must read.

manifest.json        what, when, by which version; each folder's form; each file's size and SHA-256
state/<service>/…    the state folders, the journal among them
config/…             the station file, and the programme files beside it
secrets/…            only when asked for
"""

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

MANIFEST = "manifest.json"
KIND = "smart-power-station backup"
VERSION = 1
PARTS = ("state", "config", "secrets")
_CHUNK = 1 << 20
_UNREADABLE = (tarfile.TarError, EOFError, OSError, ValueError, zlib.error)
_LARGEST_MANIFEST = 10_000_000

Told = Callable[[int], None]
"""Hears how many bytes have been dealt with since the last time."""


class BadArchive(Exception):
    """The file is no backup of ours, or not whole; says why, for a person."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the backup: its name in the archive, and what it must read like."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    station: str
    made_at: str
    software: str
    formats: Mapping[str, int]
    """The form of each service's folder."""
    journal_schema: int | None
    entries: tuple[Entry, ...]

    def text(self) -> str:
        """As it stands in the archive."""
        return json.dumps(
            {
                "kind": KIND,
                "version": VERSION,
                "station": self.station,
                "made_at": self.made_at,
                "software": self.software,
                "formats": dict(self.formats),
                "journal_schema": self.journal_schema,
                "files": [{"name": entry.name, "size": entry.size, "sha256": entry.sha256} for entry in self.entries],
            },
            indent=1,
        )


def digest(file: IO[bytes]) -> tuple[int, str]:
    """Size and SHA-256 of what is left to read of `file`."""
    size, found = 0, hashlib.sha256()
    while chunk := file.read(_CHUNK):
        size += len(chunk)
        found.update(chunk)
    return size, found.hexdigest()


def write(file: IO[bytes], manifest: Manifest, sources: Mapping[str, Path], told: Told) -> None:
    """Write the archive: `sources` says where each entry of the manifest is to be read.

    Raises OSError, and BadArchive when a source is no longer what the manifest says.
    """
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=5, format=tarfile.PAX_FORMAT) as tar:
        text = manifest.text().encode()
        tar.addfile(_info(MANIFEST, len(text)), io.BytesIO(text))
        for entry in manifest.entries:
            with sources[entry.name].open("rb") as source:
                tar.addfile(_info(entry.name, entry.size), source)
            told(entry.size)


def _info(name: str, size: int) -> tarfile.TarInfo:
    # Nothing of this machine's users stands in the archive, and nobody but its owner may read what comes out.
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


def read_manifest(path: Path) -> Manifest:
    """What the backup at `path` says of itself. Raises BadArchive, OSError."""
    with _opened(path) as tar:
        return _manifest(path, tar)


def unpack(path: Path, target_of: Callable[[str], Path], told: Told) -> Manifest:
    """Write each file of the backup to where `target_of` puts its name, and prove that it is what was backed up.

    Raises BadArchive (what has been written then is of no use), OSError.
    """
    with _opened(path) as tar:
        manifest = _manifest(path, tar)
        expected = {entry.name: entry for entry in manifest.entries}
        for info in _members(path, tar):
            if (entry := expected.pop(info.name, None)) is None or not info.isfile() or info.size != entry.size:
                raise BadArchive(f"{path}: {info.name!r} is not what the backup's own list says; it was altered")
            source = tar.extractfile(info)
            if source is None or _copy(path, source, target_of(info.name)) != entry.sha256:
                raise BadArchive(f"{path}: {info.name} is damaged; take another backup")
            told(entry.size)
    if expected:
        raise BadArchive(f"{path} is not whole: {min(expected)} is missing")
    return manifest


def _copy(path: Path, source: IO[bytes], target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()
    with target.open("wb") as file:
        target.chmod(0o600)
        while chunk := _read(path, source):
            found.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return found.hexdigest()


def _read(path: Path, source: IO[bytes]) -> bytes:
    try:
        return source.read(_CHUNK)
    except _UNREADABLE as error:
        raise BadArchive(f"{path} is not whole: {error}") from None


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, mode="r|gz")
    except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
        raise BadArchive(f"{path} is no backup: {error}") from None


def _members(path: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """What follows the manifest."""
    try:
        while (info := tar.next()) is not None:
            yield info
    except _UNREADABLE as error:
        raise BadArchive(f"{path} is not whole: {error}") from None


def _manifest(path: Path, tar: tarfile.TarFile) -> Manifest:
    try:
        first = tar.next()
    except _UNREADABLE as error:
        raise BadArchive(f"{path} is no backup: {error}") from None
    source = tar.extractfile(first) if first is not None and first.name == MANIFEST and first.size <= _LARGEST_MANIFEST else None
    if source is None:
        raise BadArchive(f"{path} is no backup of ours: it does not begin with a {MANIFEST}")
    try:
        return _parsed(path, json.loads(source.read()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadArchive(f"{path} is no backup of ours: its {MANIFEST} is damaged") from None


def _parsed(path: Path, content: Any) -> Manifest:
    if content["kind"] != KIND:
        raise ValueError(content["kind"])
    if content["version"] > VERSION:
        raise BadArchive(f"{path} was made by version {content['software']}; install that or a later version")
    entries = tuple(Entry(str(one["name"]), int(one["size"]), str(one["sha256"])) for one in content["files"])
    for entry in entries:
        path_in_it = PurePosixPath(entry.name)
        parts = path_in_it.parts
        # As written, too: what follows a doubled slash would be taken for a path of the machine's.
        if str(path_in_it) != entry.name or ".." in parts or parts[0] not in PARTS or len(parts) < (3 if parts[0] == "state" else 2):
            raise BadArchive(f"{path}: {entry.name!r} is no name for a file of a backup")
    schema = content["journal_schema"]
    formats = {str(service): int(form) for service, form in content["formats"].items()}
    return Manifest(
        str(content["station"]),
        str(content["made_at"]),
        str(content["software"]),
        formats,
        None if schema is None else int(schema),
        entries,
    )
