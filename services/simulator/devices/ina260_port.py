"""The way to an emulated chip from another process: SMBus word calls as lines over TCP, for the INA260 reader's `remote` port.

A line a call, numbers in hexadecimal: `r 40 01` is answered by `ok 1a2b`, `w 40 00 277d` by `ok`, and either by `error 79` with an errno.
"""

import asyncio
import errno

from services.simulator.devices.faults import Faults
from services.simulator.devices.ina260 import Ina260Chip

CHIP_FAULTS = frozenset({"silent", "refuse", "delay_s", "nack", "stuck", "wrong_identity"})
"""The fields of Faults that mean something here."""
_LONGEST_LINE = 64


class Ina260Port:
    """One bus with one chip."""

    def __init__(self, chip: Ina260Chip, *, host: str, port: int) -> None:
        self.chip = chip
        self._host = host
        self._port = port
        self._faults = Faults()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port; the one that the system chose if 0 was asked for and it has started."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken. Does nothing when it listens already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, self._host, self._port, limit=_LONGEST_LINE)
            self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """The bus is gone: connecting is refused, and who was connected no longer is."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` from now on: `refuse` is a missing bus, `silent`, `delay_s`, and those of the chip."""
        self._faults = faults
        self.chip.suffer(faults)
        if faults.refuse:
            await self.stop()
        else:
            await self.start()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - start_server runs this in a task
        self._connections.add(task)
        try:
            while line := await reader.readline():
                if self._faults.delay_s:
                    await asyncio.sleep(self._faults.delay_s)
                if not self._faults.silent:
                    writer.write(f"{self._answer(line.decode('ascii', 'replace'))}\n".encode())
        except asyncio.CancelledError:
            # Ours, from stop: asyncio would log it as an error of the connection.
            pass
        except (ConnectionError, ValueError):  # ValueError: a line beyond the limit
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    def _answer(self, line: str) -> str:
        try:
            match line.split():
                case ["r", address, register]:
                    return f"ok {self.chip.read_word(int(address, 16), int(register, 16)):04x}"
                case ["w", address, register, word]:
                    self.chip.write_word(int(address, 16), int(register, 16), int(word, 16))
                    return "ok"
                case _:
                    return f"error {errno.EINVAL:x}"
        except OSError as error:
            return f"error {error.errno or errno.EIO:x}"
        except ValueError:
            return f"error {errno.EINVAL:x}"
