"""Real brokers for tests, each in a loop and thread of its own so that tests with and without a loop can use them."""

import asyncio
import gc
import os
import signal
import threading
import warnings
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from services.bus.broker import embedded, mosquitto
from services.bus.broker.choose import find_mosquitto
from tests.support.needs import need_mosquitto
from tests.support.ports import free_port
from tests.support.waiting import wait_until

KINDS = ("mosquitto", "embedded")
HOST = "127.0.0.1"


class TestBroker:
    """A broker that can be stopped and started again at the same address, with the same state."""

    __test__ = False

    def __init__(self, kind: str, folder: Path) -> None:
        if kind == "mosquitto":
            need_mosquitto()
        self.kind = kind
        self.host = HOST
        self.port = free_port()
        self.folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"{kind} broker", daemon=True)
        self._thread.start()
        self._stack = AsyncExitStack()

    def start(self) -> None:
        self._run(self._start())

    def stop(self) -> None:
        self._run(self._stack.aclose())
        self._run(_end_what_is_left())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _context(self) -> AbstractAsyncContextManager[object]:
        if self.kind == "embedded":
            return embedded.running(self.host, self.port, self.folder)
        program = find_mosquitto()
        assert program is not None
        return mosquitto.running(program, self.host, self.port, self.folder)

    async def _start(self) -> None:
        await self._stack.enter_async_context(self._context())

    def _run(self, work) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


async def _end_what_is_left() -> None:
    """As the end of its process would: amqtt leaves the tasks, and so the streams, of its last connections behind."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del left
        gc.collect()


class KillableMosquitto:
    """A Mosquitto with our configuration that nobody starts again."""

    def __init__(self, folder: Path) -> None:
        need_mosquitto()
        program = find_mosquitto()
        assert program is not None
        self.host, self.port = HOST, free_port()
        self._folder = folder
        config = folder / "mosquitto.conf"
        config.write_text(mosquitto.configuration(self.host, self.port, folder, root=os.geteuid() == 0), encoding="utf-8")
        self._child = mosquitto.Child([str(program), "-c", str(config)], self.host, self.port, folder / "mosquitto.log")

    async def start(self) -> None:
        await self._child.start()

    async def stop(self) -> None:
        await self._child.stop()

    def save(self) -> None:
        """Have it write what it holds now, as it does by itself each minute."""
        saved = self._folder / "mosquitto.db"
        before = saved.stat().st_mtime_ns if saved.exists() else 0
        pid = self._child.pid
        assert pid is not None
        os.kill(pid, signal.SIGUSR1)
        wait_until(lambda: saved.exists() and saved.stat().st_mtime_ns > before)

    async def kill(self) -> None:
        """As a power cut would, without any goodbye."""
        pid = self._child.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while self._child.pid is not None:
            await asyncio.sleep(0.005)
