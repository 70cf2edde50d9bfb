"""A thread with an event loop, for a driver whose library is asynchronous behind calls that block."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

T = TypeVar("T")

_END_S = 5.0


class Closed(RuntimeError):
    """The loop has ended, or ended during the call."""


class LoopThread:
    """Starts with the first call. The loop outlives the calls, because Bluetooth libraries keep their connection to the system in it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._running: Future[Any] | None = None
        self._closed = False

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises. Raises Closed."""
        with self._lock:
            if self._closed:
                work.close()
                raise Closed
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
                self._thread.start()
            future = self._running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            result: T = future.result()
        except CancelledError:
            raise Closed from None
        return result

    def close(self) -> None:
        """Cancel the call under way, give it a moment to hang up, and end the thread."""
        with self._lock:
            self._closed = True
            loop, thread, self._loop = self._loop, self._thread, None
            if self._running is not None:
                self._running.cancel()
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_wind_up(loop), loop)
        thread.join(_END_S)
        if not thread.is_alive():
            loop.close()


async def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.wait([asyncio.ensure_future(asyncio.gather(*tasks, return_exceptions=True))], timeout=_END_S - 1)
    loop.call_soon(loop.stop)
