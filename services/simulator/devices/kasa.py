"""A Kasa plug at wire level: the IOT protocol over TCP (4-byte big-endian length first) and UDP (without), on one port.

The cipher is an autokey XOR that starts with 171: https://www.softscheck.com/en/reverse-engineering-tp-link-hs110/
"""

import asyncio
import contextlib
import json
import struct
from typing import Any

from services.simulator.devices.faults import Faults
from services.simulator.devices.kasa_iot import KasaIot
from services.simulator.devices.shelly_switch import Switch

PORT = 9999
_FIRST_KEY = 171
_LENGTH = struct.Struct(">I")
_MOST_BYTES = 64 * 1024
_NONSENSE = b"\xff\xfe<html>not what you asked for"


def encrypt(plain: bytes) -> bytes:
    """Each byte is XORed with the cipher byte before it."""
    key, out = _FIRST_KEY, bytearray()
    for byte in plain:
        key ^= byte
        out.append(key)
    return bytes(out)


def decrypt(cipher: bytes) -> bytes:
    """The other way round."""
    return bytes(byte ^ before for byte, before in zip(cipher, bytes([_FIRST_KEY]) + cipher[:-1], strict=True))


class KasaPlug:
    """The device. While the grid is out it is silent."""

    def __init__(self, name: str, switches: dict[int, Switch], *, host: str, port: int, powered: bool = True, metered: bool = True) -> None:
        """Raises ValueError for more channels than one: that would be a strip."""
        if list(switches) != [0]:
            raise ValueError(f"channel: {', '.join(map(str, switches))}; a Kasa plug has channel 0 alone")
        self.name = name
        self.switches = switches
        self.iot = KasaIot(name, switches[0], metered=metered)
        self._host = host
        self._port = port
        self._powered = powered
        self._faults = Faults()
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens on; the one that the system chose if 0 was asked for and it has started."""
        return self._port

    async def start(self) -> None:
        """Boot, if there is power, and listen. Raises OSError when the port is taken."""
        if self._powered:
            self.boot()
        await self._listen()

    async def stop(self) -> None:
        """Go away: no port, no timers."""
        self.iot.halt()
        await self._close()

    async def reboot(self) -> None:
        """Restart now: connections and the countdown are lost."""
        await self.drop_connections()
        self.boot()

    def boot(self) -> None:
        """Take the state of before, as after a power cut."""
        self.iot.boot()

    async def power(self, on: bool) -> None:
        """The supply comes or goes. A device without it neither answers nor keeps its countdown."""
        if on == self._powered:
            return
        self._powered = on
        await self.drop_connections()
        if on:
            self.boot()
        else:
            self.iot.halt()

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` on the wire from now on, instead of those before; `http_500` stands for an error to every command."""
        self._faults = faults
        self.iot.broken = faults.http_500
        if faults.refuse:
            await self._close()
        else:
            await self._listen()

    async def drop_connections(self) -> None:
        """Close all connections; new ones are welcome."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        if self._server is not None:
            return
        self._server = await asyncio.start_server(self._connected, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        try:
            loop = asyncio.get_running_loop()
            self._datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (self._host, self._port))
        except OSError:
            await self._close()
            raise

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._datagrams is not None:
            self._datagrams.close()
            self._datagrams = None
        await self.drop_connections()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - start_server runs this in a task
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # CancelledError is ours, from drop_connections: asyncio would log it as an error of the connection.
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            if length > _MOST_BYTES:
                return
            answer = await self.respond(await reader.readexactly(length))
            if answer is None:
                # Until the client gives up.
                while await reader.read(_MOST_BYTES):
                    pass
                return
            frame = _LENGTH.pack(len(answer)) + answer
            if self._faults.half:
                writer.write(frame[: len(frame) // 2])
                return
            writer.write(frame)
            await writer.drain()

    async def respond(self, cipher: bytes) -> bytes | None:
        """The enciphered answer to an enciphered request; None: never answer."""
        if not self._powered:
            return None
        try:
            request = json.loads(decrypt(cipher))
        except (ValueError, RecursionError):
            request = None
        answer = self.iot.answer(request)
        if self._faults.delay_s:
            await asyncio.sleep(self._faults.delay_s)
        if self._faults.silent:
            return None
        return encrypt(_NONSENSE if self._faults.nonsense else json.dumps(answer, separators=(",", ":")).encode())


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP side: how plugs are found."""

    def __init__(self, plug: KasaPlug) -> None:
        self._plug = plug
        self._answers: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(data, addr))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        for task in self._answers:
            task.cancel()

    async def _answer(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if (answer := await self._plug.respond(data)) is not None:
            with contextlib.suppress(OSError):
                self._transport.sendto(answer, addr)
