"""Whether the station's broker lets a command in."""

import asyncio

from services.bus.client import Bus
from services.cli.exits import CommandFailed


async def admitted(bus: Bus, within_s: float) -> bool:
    """Wait for the connection; False if no broker answers within so many real seconds. Raises CommandFailed if one turns us away."""
    try:
        async with asyncio.timeout(within_s):
            await bus.wait_connected()
    except TimeoutError:
        if bus.turned_away:
            raise CommandFailed(f"the station's broker is there, but: {bus.trouble}") from None
        return False
    return True
