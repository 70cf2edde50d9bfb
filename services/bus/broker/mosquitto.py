"""Mosquitto as a child process, with a configuration of our own."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.bus.broker import leash
from services.bus.broker.errors import BrokerError

START_S = 10.0
STOP_S = 5.0
RESTART_WAIT_S = 1.0
POLL_S = 0.02

log = logging.getLogger(__name__)


def configuration(host: str, port: int, folder: Path, *, root: bool) -> str:
    """The text of `mosquitto.conf`: one listener, and retained messages on disk now and then."""
    lines = [
        f"listener {port} {host}",
        # Whoever reaches loopback may do as they please anyhow; start_broker refuses any other address.
        "allow_anonymous true",
        "set_tcp_nodelay true",
        "persistence true",
        f"persistence_location {folder.absolute()}/",
        # In seconds. Saving at each change would survive a kill by itself, but each save holds up every message behind it and
        # wears an SD card; instead each client of ours retains its own topics again when the broker comes back.
        "autosave_interval 60",
        # Far above what we accept, so that a message too long is answered with an error instead of vanishing here.
        "message_size_limit 4194304",
        "max_inflight_messages 100",
        "max_queued_messages 1000",
        "log_dest stderr",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        "log_type error",
        "log_type warning",
        "log_type notice",
    ]
    # Started by root it would turn into the user `mosquitto`, who can neither write here nor be told of our death.
    return "\n".join([*lines, *(["user root"] if root else [])]) + "\n"


@asynccontextmanager
async def running(program: Path, host: str, port: int, folder: Path) -> AsyncIterator[str]:
    """Mosquitto while the context lasts, started again should it end. Raises BrokerError if it does not come up."""
    config = folder / "mosquitto.conf"
    config.write_text(configuration(host, port, folder, root=os.geteuid() == 0), encoding="utf-8")
    child = Child([str(program), "-c", str(config)], host, port, folder / "mosquitto.log")
    await child.start()
    keeper = asyncio.create_task(child.keep(), name="mosquitto keeper")
    try:
        yield "Mosquitto"
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
        await child.stop()


class Child:
    """The process, and what it says in its log."""

    def __init__(self, command: list[str], host: str, port: int, log_file: Path) -> None:
        self._command = command
        self._address = (host, port)
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it and wait until it accepts connections. Raises BrokerError."""
        with self._log_file.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", leash.__file__, str(os.getpid()), *self._command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C in the terminal is for us: services still have something to say before the broker goes.
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(START_S):
                while not await self._accepts():
                    if self.pid is None:
                        raise BrokerError(f"Mosquitto ended at once: {self._last_words()} (all of it is in {self._log_file})")
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            await self.stop()
            raise BrokerError(f"Mosquitto does not answer on port {self._address[1]} after {START_S:.0f} s; see {self._log_file}") from None

    async def keep(self) -> None:
        """Start it again whenever it ends, until cancelled."""
        while self._process is not None:
            await self._process.wait()
            log.error("Mosquitto ended (%s); starting it again", self._last_words())
            await asyncio.sleep(RESTART_WAIT_S)
            try:
                await self.start()
            except BrokerError as error:
                log.error("%s", error)  # noqa: TRY400 - the trace would say nothing

    async def stop(self) -> None:
        """End it, and wait until it has written its state and is gone."""
        if self._process is None or self.pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            log.warning("Mosquitto (pid %d) does not end; killing it", self._process.pid)
            self._process.kill()
            await self._process.wait()

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(*self._address)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def _last_words(self) -> str:
        lines = [line for line in self._log_file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return " ".join([line for line in lines if "Error" in line] or lines[-1:] or ["it said nothing"])
