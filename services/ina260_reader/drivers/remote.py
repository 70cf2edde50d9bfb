"""SMBus words over a local TCP connection: simulation only. No I²C bus can be had where the simulated house lives in another process.

A line a call, numbers in hexadecimal: `r 40 01` is answered by `ok 1a2b`, `w 40 00 277d` by `ok`, and either by `error 79` with an errno.
"""

import errno
import os
import socket

from services.ina260_reader.port import REMOTE

TIMEOUT_S = 1.0


def connect(bus: int | str) -> "Remote":
    """Connect to `tcp:host:port`. Raises OSError."""
    host, _, port = str(bus).removeprefix(REMOTE).rpartition(":")
    return Remote(socket.create_connection((host, int(port)), timeout=TIMEOUT_S))


class Remote:
    """See WordPort."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = connection.makefile("rb")

    def read_word(self, address: int, register: int) -> int:
        """See WordPort."""
        return _number(self._ask(f"r {address:02x} {register:02x}"))

    def write_word(self, address: int, register: int, word: int) -> None:
        """See WordPort."""
        self._ask(f"w {address:02x} {register:02x} {word:04x}")

    def close(self) -> None:
        """See WordPort."""
        self._lines.close()
        self._connection.close()

    def _ask(self, line: str) -> str:
        self._connection.sendall(f"{line}\n".encode())
        outcome, _, rest = self._lines.readline(64).decode("ascii", "replace").strip().partition(" ")
        if outcome == "ok":
            return rest
        if outcome == "error":
            number = _number(rest)
            raise OSError(number, os.strerror(number))
        raise ConnectionResetError("the simulated bus hung up")


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise OSError(errno.EPROTO, f"{text!r} is no number") from None
