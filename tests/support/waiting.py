"""Wait for a condition instead of guessing how long it takes."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.005


async def wait_for(condition: Callable[[], T], timeout: float = 5.0, *, what: str = "") -> T:  # noqa: ASYNC109
    """Poll until `condition()` is true and return what it gave; fail after `timeout` real seconds. For tests with a loop."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what or 'the condition'}")
        await asyncio.sleep(POLL_S)
    return found


def wait_until(condition: Callable[[], T], timeout: float = 5.0, *, what: str = "") -> T:
    """The same for tests without a loop."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what or 'the condition'}")
        time.sleep(POLL_S)
    return found
