"""Files that nobody else may read, written whole or not at all."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Owner:
    """A user and a group by their numbers; inside a container names mean something else."""

    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


@dataclass(frozen=True)
class Owners:
    """Who is to own which part of the folder of secrets; the longest name that fits decides, and none leaves files to who made them."""

    by_name: Mapping[str, Owner] = field(default_factory=dict)
    """Such as `{"": Owner(1000, 1000), "mosquitto": Owner(1883, 1883), "mqtt/gateway": Owner(1001, 1001)}`."""

    def of(self, name: str) -> Owner | None:
        """The owner of the file or folder `name`, relative to the folder of secrets."""
        path = PurePosixPath(name)
        for place in (path, *path.parents):
            if (owner := self.by_name.get("" if str(place) == "." else str(place))) is not None:
                return owner
        return None


def write_private(path: Path, data: bytes, mode: int, owner: Owner | None) -> None:
    """Replace `path` by `data`, never readable by others on the way; once this returns it survives a power cut. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            if owner is not None:
                os.fchown(file.fileno(), owner.uid, owner.gid)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def unfit(path: Path, mode: int, owner: Owner | None) -> str | None:
    """What is wrong with the permissions or the owner of `path`, if anything. Raises OSError."""
    found = path.stat()
    if (is_mode := stat.S_IMODE(found.st_mode)) & ~mode:
        return f"its mode is {is_mode:04o}, more than {mode:04o}: others may read it"
    if owner is not None and (found.st_uid, found.st_gid) != (owner.uid, owner.gid):
        return f"it belongs to {found.st_uid}:{found.st_gid} and not to {owner}"
    return None


def fit(path: Path, mode: int, owner: Owner | None) -> None:
    """Put permissions and owner of `path` right. Raises OSError."""
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)
    path.chmod(mode)
