"""The machine's own clock, as far as it can be believed after a start."""

import ctypes
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.bus.clock import SystemClock

TOLERANCE = timedelta(minutes=2)
"""A time server may set a clock back by so much between the last write and a restart."""
_UNSYNCHRONISED = 5
"""TIME_ERROR of adjtimex(2): nobody keeps this clock."""
_TIMEX_BYTES = 512
"""More than `struct timex` has on any platform."""


def system_clock(var: Path) -> SystemClock:
    """The machine's clock for a station whose state lies under `var`."""
    written = last_written(var)
    return SystemClock(not_before=None if written is None else written - TOLERANCE, synchronised=synchronised)


def last_written(var: Path) -> datetime | None:
    """When anything under `var` was last written, by the clock as it stood then; None where there is nothing."""
    times = [time_s for path in var.glob("*/*") if (time_s := _written_s(path)) is not None]
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _written_s(path: Path) -> float | None:
    """When the file at `path` was last written; None for a folder, and for what another service has just replaced or keeps to itself."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime if stat.S_ISREG(found.st_mode) else None


def synchronised() -> bool:
    """Whether the kernel says that a time service keeps the clock; False where it cannot be asked."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return False
    # Modes are all zero: it is only asked.
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= state < _UNSYNCHRONISED
