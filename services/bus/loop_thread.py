"""A thread with an event loop, for a driver whose library is asynchronous behind calls that block."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

T = TypeVar("T")

_END_S = 5.0


class NotFinished(RuntimeError):
    """A call took longer than it may, or the loop has ended before or during it; says which."""


class LoopThread:
    """Starts with the first call and ends with `close`. Calls may come from several threads at once.

    The loop outlives the calls, because libraries keep their connections in it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def call(self, work: Callable[[], Coroutine[Any, Any, T]], limit_s: float | None = None) -> T:
        """What `work` returns or raises. Raises NotFinished, for one when it takes longer than `limit_s`."""
        with self._lock:
            loop = self._running()
            future = asyncio.run_coroutine_threadsafe(_within(work, limit_s), loop)
        try:
            return future.result()
        except CancelledError:
            raise NotFinished("closed in the middle of a call") from None

    def close(self, finish: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel what is under way, give it a moment to hang up, run `finish`, and end the thread. Closing again does nothing."""
        with self._lock:
            closed, self._closed = self._closed, True
            loop, thread = self._loop, self._thread
        if closed or loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_wind_up(finish), loop)
        thread.join(_END_S)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise NotFinished("closed")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(self._loop,), name=self._name, daemon=True)
            self._thread.start()
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _within(work: Callable[[], Coroutine[Any, Any, T]], limit_s: float | None) -> T:
    deadline = asyncio.timeout(limit_s)
    try:
        async with deadline:
            return await work()
    except TimeoutError:
        if not deadline.expired():
            raise
        raise NotFinished(f"did not finish within {limit_s:g} s") from None


async def _wind_up(finish: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
    loop = asyncio.get_running_loop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    try:
        if others:
            await asyncio.wait(others, timeout=_END_S / 2)
        if finish is not None:
            async with asyncio.timeout(_END_S / 4):
                await finish()
        # Transports close in the round after the one in which they were told to.
        await asyncio.sleep(0)
    finally:
        loop.stop()
