"""Keeps the garbage collector from looking again and again at what was there at the start."""

import asyncio
import gc

SETTLED_S = 10.0
"""Real seconds after which a service has imported and made what it needs for good."""


async def settle(after_s: float = SETTLED_S) -> None:
    """Take what is there after the start out of every later collection.

    The libraries' own objects are so many that a full collection holds up the event loop, perhaps in the middle of a relay's command.
    """
    await asyncio.sleep(after_s)
    gc.collect()
    gc.freeze()
