"""A small HTTP/1.1 server for emulated devices: keep-alive, Content-Length bodies, one send an answer."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

log = logging.getLogger(__name__)

HEADERS_LIMIT = 16 * 1024
BODY_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What it gets. With `cut`, only the first half of the bytes, and then the connection closes."""

    status: int
    body: bytes
    content_type: str = "application/json"
    cut: bool = False
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Awaitable[Response | None]]
"""None: never answer."""
Upgrade = Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Takes over a connection whose client asked for another protocol; it closes after."""


def json_response(value: object, status: int = HTTPStatus.OK) -> Response:
    """`value` as JSON."""
    return Response(status, json.dumps(value).encode())


class BadRequest(ValueError):
    """Not HTTP as understood here; the connection closes after the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class HttpServer:
    """Listens on one address and asks `handler`."""

    def __init__(self, handler: Handler, host: str, port: int, *, upgrade: Upgrade | None = None) -> None:
        self._handler = handler
        self._upgrade = upgrade
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port; the one that the system chose if 0 was asked for and the server has started."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken. Does nothing when it listens already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, self._host, self._port, limit=HEADERS_LIMIT)
            self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port, so that connecting is refused, and all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.drop_connections()

    async def drop_connections(self) -> None:
        """Close all connections; new ones are welcome."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - start_server runs this in a task
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            # Ours, from drop_connections: asyncio would log it as an error of the connection.
            pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception:
            log.exception("a request broke its handler")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keep = True
        while keep:
            try:
                request = await _read(reader)
            except BadRequest as bad:
                writer.write(_encode(json_response({"error": str(bad)}, bad.status), keep=False))
                return
            if request is None:
                return
            if self._upgrade is not None and "upgrade" in request.headers:
                await self._upgrade(request, reader, writer)
                return
            response = await self._handler(request)
            if response is None:
                # Until the client gives up.
                while await reader.read(HEADERS_LIMIT):
                    pass
                return
            keep = request.headers.get("connection", "").lower() != "close" and not response.cut
            data = _encode(response, keep=keep)
            # In one piece: a second send would wait 40 ms for the delayed acknowledgement of the first.
            writer.write(data[: len(data) - len(response.body) // 2 - 1] if response.cut else data)
            await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the client is done. Raises BadRequest."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial.strip():
            raise BadRequest(HTTPStatus.BAD_REQUEST, "the request ends within its headers") from None
        return None
    except asyncio.LimitOverrunError:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {HEADERS_LIMIT} bytes of headers") from None
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, _version = first.split(" ")
        parts = urlsplit(target)
    except ValueError:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "not an HTTP/1.1 request line") from None
    headers = {name.strip().lower(): value.strip() for name, found, value in (line.partition(":") for line in lines) if found}
    if "transfer-encoding" in headers:
        raise BadRequest(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length instead of a Transfer-Encoding")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "Content-Length is not a number")
    if int(length) > BODY_LIMIT:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {BODY_LIMIT} bytes of body")
    body = await reader.readexactly(int(length))
    return Request(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


def _encode(response: Response, *, keep: bool) -> bytes:
    phrase = ""
    with contextlib.suppress(ValueError):
        phrase = HTTPStatus(response.status).phrase
    further = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
    head = (
        f"HTTP/1.1 {response.status} {phrase}\r\nContent-Type: {response.content_type}\r\n{further}"
        f"Content-Length: {len(response.body)}\r\nConnection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode() + response.body
