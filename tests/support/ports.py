"""Ports for tests: always asked of the system, never fixed."""

import socket
from contextlib import ExitStack


def free_port() -> int:
    """A port on loopback that is free now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports on loopback that are free now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in sockets]
