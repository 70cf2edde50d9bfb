"""The WebSocket `/rpc` of an emulated Shelly Gen2: calls, and NotifyStatus to whoever has called with a `src`.

https://shelly-api-docs.shelly.cloud/gen2/General/Notifications
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.utils import accept_key

from services.simulator.http_server import Request

_READ_BYTES = 16 * 1024

Call = Callable[[bytes], dict[str, Any]]
"""The answer to a request frame."""


@dataclass(eq=False, slots=True)
class _Client:
    protocol: Protocol
    writer: asyncio.StreamWriter
    src: str | None = None

    def send(self, frame: dict[str, Any]) -> None:
        self.protocol.send_text(json.dumps(frame).encode())
        self.flush()

    def flush(self) -> None:
        # An empty piece is the end of the connection, which whoever reads it sees too.
        self.writer.write(b"".join(self.protocol.data_to_send()))


class Sockets:
    """All WebSocket connections to one device. `mute` says whether it must not be heard just now."""

    def __init__(self, call: Call, mute: Callable[[], bool]) -> None:
        self._call = call
        self._mute = mute
        self._clients: set[_Client] = set()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._clients)

    async def serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client until it goes."""
        if request.path != "/rpc" or self._mute():
            return
        accept = accept_key(request.headers.get("sec-websocket-key", ""))
        head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        writer.write(head.encode())
        client = _Client(Protocol(Side.SERVER, max_size=64 * 1024), writer)
        self._clients.add(client)
        try:
            while data := await reader.read(_READ_BYTES):
                if self._mute():
                    continue
                client.protocol.receive_data(data)
                for event in client.protocol.events_received():
                    if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                        answer = self._call(bytes(event.data))
                        client.src = answer.get("dst", client.src) if "result" in answer else client.src
                        client.send(answer)
                client.flush()
                if client.protocol.state is not State.OPEN:
                    return
        finally:
            self._clients.discard(client)

    def notify(self, src: str, params: dict[str, Any]) -> None:
        """Tell every client that has introduced itself."""
        if not self._mute():
            for client in self._clients:
                if client.src is not None:
                    client.send({"src": src, "dst": client.src, "method": "NotifyStatus", "params": params})
