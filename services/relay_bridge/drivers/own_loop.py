"""An event loop in a thread of its own, for a library that is asynchronous behind a driver that is not."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from services.relay_bridge.errors import DeviceSilent

T = TypeVar("T")

_CLOSE_S = 2.0


class OwnLoop:
    """Starts with the first call and ends with `close`. Calls may come from several threads at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def call(self, work: Callable[[], Coroutine[Any, Any, T]], limit_s: float) -> T:
        """The result of `work`. Raises DeviceSilent when it takes longer than `limit_s`, or when the loop is closed."""
        with self._lock:
            loop = self._running()
            future = asyncio.run_coroutine_threadsafe(_within(work, limit_s), loop)
        try:
            return future.result()
        except CancelledError:
            raise DeviceSilent("the driver was closed in the middle of a call") from None

    def close(self, finish: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """End what is under way, run `finish`, and end the thread. Later calls raise DeviceSilent; closing again does nothing."""
        with self._lock:
            closed, self._closed = self._closed, True
            loop, thread = self._loop, self._thread
        if closed:
            return
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_wind_up(finish), loop)
        thread.join(_CLOSE_S)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise DeviceSilent("the driver is closed")
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


async def _within(work: Callable[[], Coroutine[Any, Any, T]], limit_s: float) -> T:
    deadline = asyncio.timeout(limit_s)
    try:
        async with deadline:
            return await work()
    except TimeoutError:
        if not deadline.expired():
            raise
        raise DeviceSilent(f"did not finish within {limit_s:g} s") from None


async def _wind_up(finish: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = asyncio.get_running_loop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    try:
        async with asyncio.timeout(_CLOSE_S / 2):
            await finish()
        # Transports close in the round after the one in which they were told to.
        await asyncio.sleep(0)
    finally:
        loop.stop()
