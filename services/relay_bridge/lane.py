"""A worker thread for the blocking calls to one device."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from services.relay_bridge.errors import DeviceError, DeviceSilent

T = TypeVar("T")


class Lane:
    """Runs one call at a time. A thread of its own means that a silent device holds up nobody else."""

    def __init__(self, name: str, limit_s: float) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._limit_s = limit_s
        self._running: Future[Any] | None = None

    async def call(self, work: Callable[[], T]) -> T:
        """The result of `work`, which may raise. Raises DeviceSilent if it, or a call before it, does not end within the limit.

        The limit is the last resort: a driver's own time-outs end every call before.
        """
        try:
            async with asyncio.timeout(self._limit_s):
                await self._idle()
                running = self._running = self._executor.submit(work)
                return await asyncio.wrap_future(running)
        except TimeoutError:
            raise DeviceSilent(f"a call did not end within {self._limit_s:g} s") from None

    async def _idle(self) -> None:
        """Wait for a call whose caller was cancelled or gave up."""
        if self._running is not None and not self._running.done():
            with contextlib.suppress(DeviceError):
                await asyncio.wrap_future(self._running)

    def close(self) -> None:
        """Let the thread end after the call that it may be in."""
        self._executor.shutdown(wait=False, cancel_futures=True)
