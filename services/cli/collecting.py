"""Gathers what a backup holds into a folder of its own, so that nothing changes any more while it is written.

Every state file is replaced as a whole (`bus/state_file.py`), so a copy is always one that was true. Databases are copied as they
stand at one moment: the journal by the recorder, which alone opens it, or by us while we hold its folder's lock.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.archive import Entry, digest
from services.cli.exits import CommandFailed

if TYPE_CHECKING:
    from services.core.config.station import Station

JOURNAL = "state/recorder/journal.db"
_SQLITE = b"SQLite format 3\0"
_LEFT_OUT = ("alive", "*.log", "journal.db", "*.db-wal", "*.db-shm", "*.db-journal", "*.corrupt-*")
"""Signs of life, logs, what is copied otherwise or was set aside; and whatever is hidden: locks, half-written files, earlier restores."""
_SECRET = ("recorder/api.token", "gateway/first-password")
"""What is a password among the state: it leaves with the passwords or not at all. Whose it is makes another."""
_FOLDERS_LEFT_OUT = ("broker", "operator")
"""What is retained on the bus is retained again by whoever published it; the command line in its container has only scratch."""

Told = Callable[[int], None]


def services_of(var: Path) -> list[str]:
    """The services with a state folder under `var`."""
    folders = (folder.name for folder in var.iterdir() if folder.is_dir())
    return sorted(name for name in folders if not name.startswith(".") and name not in _FOLDERS_LEFT_OUT)


def gather(station_file: Path, var: Path, secrets: Path | None, staging: Path) -> dict[str, Path]:
    """Copy state, configuration and, where given, secrets into `staging`, without the journal. Name in the archive → copy.

    Raises OSError, sqlite3.Error.
    """
    found: dict[str, Path] = {}
    roots = [(f"state/{service}", var / service) for service in services_of(var)]
    roots += [("config/programmes", station_file.parent / "programmes")]
    roots += [("secrets", secrets)] if secrets is not None else []
    for prefix, root in roots:
        for path in _files(root):
            if secrets is None and any(path.match(name) for name in _SECRET):
                continue
            found[f"{prefix}/{path.relative_to(root)}"] = path
    found["config/station.yaml"] = station_file
    return {name: _staged(path, staging / name) for name, path in found.items()}


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not hidden and path.is_file() and not path.is_symlink() and not any(path.match(pattern) for pattern in _LEFT_OUT):
            yield path


def _staged(path: Path, copy: Path) -> Path:
    copy.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as file:
        database = file.read(len(_SQLITE)) == _SQLITE
    if database:
        from services.recorder.copying import copy_journal

        copy_journal(path, copy)
    else:
        shutil.copyfile(path, copy)
    return copy


def entries(files: dict[str, Path]) -> tuple[Entry, ...]:
    """Each file with its size and sum, by name. Raises OSError."""
    found = []
    for name, path in sorted(files.items()):
        with path.open("rb") as file:
            found.append(Entry(name, *digest(file)))
    return tuple(found)


def fetch_journal(station: "Station", headers: dict[str, str], target: Path, told: Callable[[int, int], None]) -> bool:
    """Write the journal's copy that the running recorder makes to `target`; False where no recorder answers.

    `told` hears bytes so far and in all. Raises CommandFailed for a recorder that refuses, OSError.
    """
    import requests

    from services.cli.recorder_link import base_of

    try:
        with requests.get(f"{base_of(station)}/api/backup", headers=headers, stream=True, timeout=(5, 600)) as answer:
            if not answer.ok:
                with contextlib.suppress(ValueError, AttributeError):
                    raise CommandFailed(f"the recorder gives no copy of its journal: {answer.json().get('detail', answer.reason)}")
                raise CommandFailed(f"the recorder gives no copy of its journal: status {answer.status_code}")
            size, done = int(answer.headers.get("content-length", 0)), 0
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                for chunk in answer.iter_content(1 << 18):
                    done += file.write(chunk)
                    told(done, size)
            if done != size:
                raise CommandFailed(f"the recorder's copy of its journal ended after {done} of {size} bytes; try again")
    except requests.ConnectionError:
        return False
    except requests.RequestException as error:
        raise CommandFailed(f"the recorder's copy of its journal did not arrive: {error}") from None
    return True


def copy_stopped_journal(var: Path, target: Path) -> bool:
    """Copy the journal of a station that is stopped; False where there is none. Raises CommandFailed, OSError, sqlite3.Error."""
    from services.cli import preflight
    from services.recorder.copying import copy_journal
    from services.recorder.journal import FILE_NAME

    journal = var / "recorder" / FILE_NAME
    if not journal.exists():
        return False
    with preflight.claim(var, ["recorder"]):
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_journal(journal, target)
    return True


def schema_of(journal: Path) -> int:
    """The schema of a journal's copy. Raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(journal)) as db:
        found: int = db.execute("PRAGMA user_version").fetchone()[0]
        return found
