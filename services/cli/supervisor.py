"""Runs services side by side in one event loop; one that fails is started again and the others never notice."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib import import_module

from services.bus import idle
from services.bus.runtime import Context, beating
from services.core.config.station import Station

Run = Callable[[Context], Awaitable[None]]

SERVICES = ("bluetti_bridge", "relay_bridge", "ina260_reader", "controller", "recorder", "gateway", "home_assistant")
"""In the order in which they start; each has `services.<name>.service.run`."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
STOP_S = 5.0
"""Longest that the services may take to stop."""
STEADY_S = 60.0
"""A service that lived this long had started well: its next failure begins the back-off anew."""

log = logging.getLogger(__name__)


def wanted(station: Station) -> tuple[str, ...]:
    """The services that `station` has a use for."""
    return tuple(name for name in SERVICES if idle.unused(name, station) is None)


def load(names: Iterable[str]) -> dict[str, Run]:
    """The `run` of each service, imported now."""
    return {name: import_module(f"services.{name}.service").run for name in names}


async def supervise(name: str, run: Run, context: Context) -> None:
    """Keep one service running until cancelled: what it raises is logged, and it starts again after a wait that grows."""
    wait_s = FIRST_WAIT_S
    while True:
        started = context.clock.monotonic()
        try:
            await beating(name, run, context)
            log.error("%s ended by itself; it will be started again", name)
        except (Exception, SystemExit):  # a web server that cannot listen raises SystemExit, which would end the others too
            log.exception("%s failed; it will be started again", name)
        if context.clock.monotonic() - started >= STEADY_S:
            wait_s = FIRST_WAIT_S
        await context.clock.sleep(wait_s * context.random.uniform(0.8, 1.2))
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)


async def run_all(services: Mapping[str, Run], context: Context, stop: asyncio.Event) -> None:
    """Run all `services` until `stop` is set; then cancel them and give each the time to put its devices to rest."""
    tasks = [asyncio.create_task(supervise(name, run, context), name=name) for name, run in services.items()]
    try:
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        done, late = await asyncio.wait(tasks, timeout=STOP_S)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("%s did not stop cleanly: %r", task.get_name(), error)
        for task in late:
            log.error("%s does not stop; leaving it", task.get_name())
