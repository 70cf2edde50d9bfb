"""Keeps the garbage collector from looking again and again at what was there at the start."""

import asyncio
import gc

SETTLED_S = 10.0
"""Real seconds after which a service has imported and made what it needs for good."""


async def settle(after_s: float = SETTLED_S) -> None:
    """Take what is there after the start out of every later collection.

    Half a million objects of libraries make a full collection last 90 ms on a desktop's core, in the middle of a relay's command.
    """
    await asyncio.sleep(after_s)
    gc.collect()
    gc.freeze()
