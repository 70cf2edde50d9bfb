"""How a service fares, told now and then: small, not retained, and missed by nobody when it is lost."""

import os
from pathlib import Path

from services.bus.clock import Clock
from services.bus.messages.state import ServiceVitals

EVERY_S = 60.0
"""Real seconds between two tellings."""

_STATM = Path("/proc/self/statm")


def vitals(clock: Clock) -> ServiceVitals:
    """Of this process, now."""
    return ServiceVitals(ts=clock.now(), rss_bytes=resident_bytes())


def resident_bytes() -> int | None:
    """Memory of this process that lies in RAM; None where the system does not tell."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
