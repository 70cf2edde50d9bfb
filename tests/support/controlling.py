"""A controller in this process, at a real broker, with the devices of its house played."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.bus.clock import SystemClock
from services.bus.runtime import Context
from services.controller import service
from services.core.config.load import parse_station
from tests.support.brokers import TestBroker
from tests.support.plain_client import PlainClient
from tests.support.played_house import PlayedHouse, played, station_text
from tests.support.waiting import wait_for


def wall_now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def controlled(
    broker: TestBroker, plain: PlainClient, var: Path, *, wall: Callable[[], datetime] = wall_now, **changes: Any
) -> AsyncIterator[PlayedHouse]:
    """A played house whose controller has made its first decision; `changes` go into the station file."""
    station = parse_station(station_text(broker.port, **changes))
    context = Context(station=station, clock=SystemClock(wall), var=var, random=random.Random(1))
    async with played(plain, now=wall) as house:
        told = len(house.said())
        task = asyncio.create_task(service.run(context))
        try:
            await wait_for(lambda: len(house.said()) > told, 15, what="the controller's first decision")
            yield house
            assert not task.done(), "the controller ended by itself"
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
