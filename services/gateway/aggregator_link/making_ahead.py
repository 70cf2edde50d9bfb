"""Makes the batches that follow one another, some of them before they are wanted."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from services.gateway.aggregator_link.collecting import Batch
from services.gateway.aggregator_link.positions import Place

AHEAD = 2
"""Making one takes about as long as sending one: with two in hand neither waits for the other's slower moments."""

Collect = Callable[[Place | None], Coroutine[Any, Any, Batch | None]]


class MakingAhead:
    """The batches from one place on. Belongs to the event loop; to be closed."""

    def __init__(self, collect: Collect, place: Place | None, first: Batch | None = None) -> None:
        """`first` is there already; without it the first is the one that follows `place`."""
        self._collect = collect
        self._tasks = deque([asyncio.create_task(self._first(place, first))])

    async def next(self) -> Batch | None:
        """The next one; None after the last. Raises whatever `collect` raised for it."""
        while len(self._tasks) <= AHEAD:
            self._tasks.append(asyncio.create_task(self._after(self._tasks[-1])))
        return await self._tasks.popleft()

    async def close(self) -> None:
        """Make no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _first(self, place: Place | None, first: Batch | None) -> Batch | None:
        return await self._collect(place) if first is None else first

    async def _after(self, before: "asyncio.Task[Batch | None]") -> Batch | None:
        batch = await before
        return await self._collect(batch.place) if batch is not None and batch.more else None
