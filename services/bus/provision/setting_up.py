"""Looks at all secrets of a station, and makes what is missing. It overwrites nothing that a person or another program wrote."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from services.bus.provision.certificates import Unusable
from services.bus.provision.parts import MISSING, Look, Part, State, broker_files, passwords
from services.bus.provision.private import FOLDER_MODE, Owners, fit, unfit, write_private
from services.bus.provision.tls_parts import tls_files
from services.bus.secrets import NoSecret
from services.core.config.station import Station


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person may say about it."""

    names: tuple[str, ...] = ()
    """Further host names and addresses at which clients reach the broker."""
    owners: Owners = field(default_factory=Owners)


@dataclass(frozen=True, slots=True)
class Finding:
    """One file: how it was found, and what was done about it."""

    part: Part
    path: Path
    look: Look
    permissions: str | None = None
    """What is wrong with who may read it, if anything."""
    made: bool = False

    @property
    def in_order(self) -> bool:
        """Whether there was nothing to do."""
        return self.look.state is State.THERE and self.permissions is None


def check(folder: Path, station: Station, wishes: Wishes, now: datetime) -> list[Finding]:
    """Every file as it is; makes nothing."""
    return [_find(part, folder, wishes.owners) for part in _parts(folder, station, wishes, now)]


def set_up(folder: Path, station: Station, wishes: Wishes, now: datetime) -> list[Finding]:
    """Every file as it was found, after making what was missing or out of date, in the order of what is made of what.

    If any is wrong, nothing is made. Raises OSError, NoSecret.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    with _alone(folder):
        parts = _parts(folder, station, wishes, now)
        before = [_find(part, folder, wishes.owners) for part in parts]
        if any(finding.look.state is State.WRONG for finding in before):
            return before
        return list(_made(parts, folder, wishes.owners))


def _parts(folder: Path, station: Station, wishes: Wishes, now: datetime) -> list[Part]:
    return [*passwords(), *broker_files(folder, station), *tls_files(folder, station.station, wishes.names, now)]


def _find(part: Part, folder: Path, owners: Owners) -> Finding:
    path = folder / part.name
    try:
        look = part.look(path)
        permissions = unfit(path, part.mode, owners.of(part.name)) if path.exists() else None
    except FileNotFoundError:
        look, permissions = MISSING, None
    except Unusable as error:
        look, permissions = Look(State.WRONG, f"{error}; remove it, and run sps setup again"), None
    except NoSecret as error:
        look, permissions = Look(State.WRONG, f"{str(error).removeprefix(f'{path} ')}; or remove it, and run sps setup again"), None
    except OSError as error:
        look, permissions = Look(State.WRONG, f"cannot be read ({error.strerror})"), None
    return Finding(part, path, look, permissions)


def _made(parts: Iterable[Part], folder: Path, owners: Owners) -> Iterator[Finding]:
    for part in parts:
        # Looked at anew: what it is made of may have been made by now.
        found = _find(part, folder, owners)
        if found.look.state is State.THERE:
            if found.permissions is not None:
                fit(found.path, part.mode, owners.of(part.name))
            yield found
            continue
        _make_folders(found.path.parent, folder, owners)
        write_private(found.path, part.make(), part.mode, owners.of(part.name))
        yield Finding(part, found.path, found.look, made=True)
    for place in {(folder / part.name).parent for part in parts}:
        if place.exists():
            _make_folders(place, folder, owners)


def _make_folders(place: Path, folder: Path, owners: Owners) -> None:
    """Every folder from that of secrets down to `place`: there, closed to others, and its owner's."""
    for path in (folder, *reversed([p for p in (place, *place.parents) if folder in p.parents])):
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        name = "" if path == folder else path.relative_to(folder).as_posix()
        owner = owners.of(name)
        if unfit(path, FOLDER_MODE, owner) is not None:
            fit(path, FOLDER_MODE, owner)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One at a time: two that set up at once would each hash the other's passwords."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
