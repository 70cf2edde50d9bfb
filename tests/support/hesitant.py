"""A line to a broker that lets a client in, and then keeps back what it says until told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Hesitant:
    """Passes everything on but what comes from clients after their first words."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.port = 0
        self.held = 0
        """Bytes kept back so far."""
        self.let_go = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        back = asyncio.create_task(_pass_on(there_reader, writer))
        try:
            there_writer.write(await reader.read(65536))
            while said := await reader.read(65536):
                self.held += len(said)
                await self.let_go.wait()
                there_writer.write(said)
        finally:
            there_writer.close()
            back.cancel()
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while said := await reader.read(65536):
        writer.write(said)
    writer.close()


@contextlib.asynccontextmanager
async def hesitant(target: tuple[str, int]) -> AsyncIterator[Hesitant]:
    line = Hesitant(target)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
