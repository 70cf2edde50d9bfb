"""How Python itself is set up for a service, so that whatever else it does, a relay's command is not held up."""

import asyncio
import gc
import sys

SETTLED_S = 10.0
"""Real seconds after which a service has imported and made what it needs for good."""
SWITCH_S = 0.001
"""A thread that works hard lets another one in after so long; by default after five times as long, each time that the other wakes."""


async def settle(after_s: float = SETTLED_S) -> None:
    """Let threads take turns quickly; after the start, take what is there then out of every later collection of garbage.

    The libraries' own objects are so many that a full collection holds up the event loop, perhaps in the middle of an event.
    """
    take_turns()
    await asyncio.sleep(after_s)
    gc.collect()
    gc.freeze()


def take_turns() -> None:
    """Let threads take turns quickly."""
    sys.setswitchinterval(SWITCH_S)
