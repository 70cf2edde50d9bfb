"""Ports for tests: free ones, and never the same for two tests that run at once."""

import itertools
import os
import random
import socket
from collections.abc import Iterator

FIRST, LAST = 10_000, 32_000
"""Below the range from which the system takes the near end of outgoing connections: none of those can be in the way."""


def _candidates() -> Iterator[int]:
    # Processes begin apart from one another, and a port that was given out does not come back for a long while.
    begin = random.Random(os.getpid()).randrange(FIRST, LAST)
    return itertools.cycle([*range(begin, LAST), *range(FIRST, begin)])


_next = _candidates()


def free_port() -> int:
    """A port on loopback that is free now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports on loopback that are free now, all different."""
    return list(itertools.islice(filter(_is_free, _next), count))


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
