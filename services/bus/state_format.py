"""The form of each service's state folder: stamped, brought forward by a newer version, refused by an older one.

A file's own model may gain fields with defaults at any time. What it may not do without a step here is rename, move or give
another meaning. The journal (`recorder/schema.py`) and the controller's state (`controller/store.py`) count versions of their own
inside; the stamp of their folder grows with them, so that an older version refuses before it has opened anything.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from services.bus.state_file import read_state, write_atomic

FILE = "format.json"
RESTORING = ".restoring"
"""Stands in a folder while `sps restore` exchanges its content."""
FIRST = 1
"""The form of a folder without a stamp: all that was written before there were stamps."""

Step = Callable[[Path], None]
"""Brings a folder from one form to the next by files and names alone, needing nothing of today's models. Interrupted, it is
called again: what it has done already it must find done. Raises OSError or ValueError."""

STEPS: Mapping[str, tuple[Step, ...]] = {}
"""By service: from form 1 to 2, from 2 to 3, and so on. A step never changes once it has been released."""

log = logging.getLogger(__name__)


class StateFolderError(Exception):
    """The folder for state cannot be used; says which and why in one line."""


class StateTooNew(StateFolderError):
    """A later version of this software has written there."""


def current(service: str, steps: Mapping[str, tuple[Step, ...]] = STEPS) -> int:
    """The form that this version writes."""
    return FIRST + len(steps.get(service, ()))


def stamped(folder: Path) -> tuple[int, str]:
    """The form of `folder`, and the version that wrote it (empty where nothing is stamped). Raises StateFolderError."""
    try:
        data = read_state(folder / FILE)
    except OSError as error:
        raise StateFolderError(f"{folder / FILE} cannot be read: {error.strerror}") from None
    if data is None:
        return FIRST, ""
    try:
        content = json.loads(data)
        form, software = content["format"], content["software"]
    except (ValueError, KeyError, TypeError):
        form = software = None
    if not isinstance(form, int) or form < FIRST or not isinstance(software, str):
        raise StateFolderError(f"{folder / FILE} is damaged; if this version wrote the folder before, delete that file")
    return form, software


def admit(var: Path, services: Iterable[str], steps: Mapping[str, tuple[Step, ...]] = STEPS) -> None:
    """Make the folder of each service ready for this version, all or none where one is too new.

    Raises StateTooNew, or StateFolderError for what else stands in the way.
    """
    found = [(service, var / service, stamped(var / service)) for service in services]
    for service, folder, (form, software) in found:
        if (folder / RESTORING).exists():
            raise StateFolderError(f"a restore into {folder} was interrupted; run `sps restore` with the same file again")
        if form > (ours := current(service, steps)):
            raise StateTooNew(
                f"{folder} was written by version {software} (form {form}, this version knows {ours});"
                f" install {software} or later again, or restore a backup from before the upgrade with `sps restore`"
            )
    for service, folder, (form, software) in found:
        _bring_forward(service, folder, form, software, steps)


def _bring_forward(service: str, folder: Path, form: int, software: str, steps: Mapping[str, tuple[Step, ...]]) -> None:
    target = current(service, steps)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while form < target:
            log.info("%s is brought from form %d to %d", folder, form, form + 1)
            steps[service][form - FIRST](folder)
            form += 1
            _stamp(folder, form)
    except (OSError, ValueError) as error:
        raise StateFolderError(f"{folder} cannot be brought from form {form} to {target}: {error}") from error
    if software != version("smart-power-station"):
        try:
            _stamp(folder, form)
        except OSError as error:
            # The form is right, and only the name of its writer is missing: a full disk stops no upgrade and no control.
            log.warning("%s cannot be written: %s", folder / FILE, error.strerror)


def _stamp(folder: Path, form: int) -> None:
    write_atomic(folder / FILE, json.dumps({"format": form, "software": version("smart-power-station")}).encode())
