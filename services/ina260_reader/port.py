"""The I²C bus as a sensor sees it, and the ways to one."""

from importlib import import_module
from typing import Protocol


class WordPort(Protocol):
    """SMBus words, as `smbus2.SMBus` has them: the low byte is the first on the wire.

    Calls block, for a second or two at most, and raise only OSError; errno 121 (EREMOTEIO) is a chip that does not acknowledge.
    """

    def read_word(self, address: int, register: int) -> int:
        """Read word data."""
        ...

    def write_word(self, address: int, register: int, word: int) -> None:
        """Write word data."""
        ...

    def close(self) -> None:
        """Let go of the bus."""
        ...


REMOTE = "tcp:"
"""How the name of a simulated bus begins."""


def open_port(bus: int | str) -> WordPort:
    """Open `bus`: a number, a device file, or `tcp:host:port` for a simulated one. Raises OSError when there is no such bus."""
    # Imported only when used: smbus2 exists on Linux alone.
    name = "remote" if isinstance(bus, str) and bus.startswith(REMOTE) else "kernel"
    port: WordPort = import_module(f"services.ina260_reader.drivers.{name}").connect(bus)
    return port
