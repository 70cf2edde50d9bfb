"""Whose turn it is at this machine's one Bluetooth adapter: a scan in the middle of somebody's connecting makes both fail."""

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.bus import deployment

POLL_S = 0.1


@asynccontextmanager
async def turn(*, real: bool = True) -> AsyncIterator[None]:
    """Hold the adapter while scanning or connecting, after waiting for whoever holds it: in this process, or in another container.

    Wait under a time-out. Links that are open need no turn, nor does an emulated adapter (`real=False`). Raises OSError.
    """
    if not real:
        yield
        return
    lock = os.open(_path(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _taken(lock):  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(POLL_S)
        yield
    finally:
        os.close(lock)  # which lets go, as the system does for a process that dies


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _path() -> Path:
    return deployment.here().bluetooth_lock or Path(tempfile.gettempdir()) / f"sps-bluetooth-{os.getuid()}.lock"
