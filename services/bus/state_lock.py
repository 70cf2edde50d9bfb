"""Holds state folders for one process, so that no two write there at once; the system lets go even after `kill -9`."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from services.bus.state_format import StateFolderError

FILE = ".lock"


@contextmanager
def hold(var: Path, services: Iterable[str]) -> Iterator[None]:
    """Hold the state folder of each service while the context lasts.

    Raises StateFolderError if a folder cannot be written, or if another process has it.
    """
    with ExitStack() as held:
        for service in services:
            held.enter_context(_lock(var / service / FILE, var))
        yield


def _lock(path: Path, var: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a", encoding="utf-8")
        if os.geteuid() == 0:
            # Root puts back what another user's services go on with, and a lock that they cannot open would stop them.
            owner = path.parent.stat()
            os.fchown(lock.fileno(), owner.st_uid, owner.st_gid)
    except OSError as error:
        raise StateFolderError(
            f"{path.parent} cannot be written ({error.strerror}); make it yours, or name another folder with --var"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StateFolderError(
            f"another sps is running on {var} (it holds {path.parent.name}); stop it first, or name another folder with --var"
        ) from None
    return lock
