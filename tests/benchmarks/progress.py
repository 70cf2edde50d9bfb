"""A line on standard error that says how far a long measurement is."""

import sys
import time
from collections.abc import Callable

EVERY_S = 5.0


def line(label: str) -> Callable[[int, int], None]:
    """Says `label`, and how many of how many are done, every few seconds."""
    last_s = time.monotonic()

    def told(done: int, of: int) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= EVERY_S or done == of:
            last_s = time.monotonic()
            print(f"  {label}: {done} of {of}", file=sys.stderr, flush=True)

    return told
