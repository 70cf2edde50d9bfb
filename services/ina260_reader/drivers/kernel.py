"""An I²C bus of this machine, through the kernel.

Never run against a real chip by us: the tests put an emulated one behind the calls of smbus2.
"""

from smbus2 import SMBus


def connect(bus: int | str) -> "Kernel":
    """Open a bus by number or device file. Raises OSError."""
    return Kernel(SMBus(bus))


class Kernel:
    """See WordPort."""

    def __init__(self, bus: SMBus) -> None:
        self._bus = bus

    def read_word(self, address: int, register: int) -> int:
        """See WordPort."""
        return int(self._bus.read_word_data(address, register))

    def write_word(self, address: int, register: int, word: int) -> None:
        """See WordPort."""
        self._bus.write_word_data(address, register, word)

    def close(self) -> None:
        """See WordPort."""
        self._bus.close()
