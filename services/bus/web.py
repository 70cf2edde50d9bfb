"""A service's own HTTP port: an ASGI application served inside a loop that is not its own."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import uvicorn

STOP_S = 2
"""Real seconds that requests under way get when the service is told to stop."""
MAX_CONNECTIONS = 100


class Address(Protocol):
    """Where to listen."""

    @property
    def host(self) -> str:
        """A name or an address of this machine."""
        ...

    @property
    def port(self) -> int:
        """The TCP port."""
        ...


class _Guest(uvicorn.Server):
    """A server that leaves the signals to its host."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(endpoint: Address) -> socket.socket:
    """A socket bound to `endpoint`. Raises OSError when its port is taken."""
    family, kind, protocol, _, address = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)[0]
    # Only for a socket that says TCP in so many words does asyncio set TCP_NODELAY; without it every answer takes 40 ms more.
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


async def serve(
    app: Callable[..., Any],
    sock: socket.socket,
    *,
    closing: Callable[[], None] = lambda: None,
    most: int = MAX_CONNECTIONS,
    certificate: tuple[Path | None, Path | None] = (None, None),
) -> None:
    """Answer on `sock` until cancelled; then `closing` is called, to end what would stream on for ever, and the rest finishes.

    Of more than `most` connections at once the rest is answered 503. With a `certificate` and its key it speaks https.
    """
    server = _Guest(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            limit_concurrency=most,
            ssl_certfile=certificate[0],
            ssl_keyfile=certificate[1],
            timeout_graceful_shutdown=STOP_S,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        # Cancelled in the middle, the server would leave its connections open: it is told to leave instead.
        await asyncio.wait({serving})
    finally:
        closing()
        server.should_exit = True
        await serving
        sock.close()  # a server that was told to leave before it had begun has not
