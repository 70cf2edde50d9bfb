"""The INA260's registers, and their arithmetic. Pure.

Registers are 16 bits, high byte first (data sheet SBOS656). The SMBus word calls send and expect the low byte first, so every word that
passes through them is swapped.
"""

from enum import IntEnum
from math import inf
from typing import NamedTuple

from services.ina260_reader.errors import BadReading

CURRENT_A = 0.00125
"""One count of the current register, which is signed."""
VOLTAGE_V = 0.00125
"""One count of the bus voltage register."""
POWER_W = 0.010
"""One count of the power register: 10 milliwatts. It carries no sign, so we multiply voltage and current ourselves."""
LONGEST_POLL_S = 15.0
"""No period longer than this can be averaged over by the chip: 1024 conversions of 8.2 ms for each of both quantities."""

MANUFACTURER = 0x5449
"""'TI'."""
DIE = 0x227
"""The upper 12 bits of the die's identity; the lower 4 count revisions."""

CONVERSION_READY = 0x0008
"""In MASK: a new average has come since this register was last read. Reading it, or writing CONFIG, clears the bit."""
SETTING = 0x0FFF
"""The bits of CONFIG that we choose; the others are reserved."""
_RESERVED = 0x6000
_CONTINUOUS = 0b111
"""Current and voltage in turn, without end."""

_AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)
_CONVERSIONS_S = (140e-6, 204e-6, 332e-6, 588e-6, 1.1e-3, 2.116e-3, 4.156e-3, 8.244e-3)
_SLOWEST = 1.1
"""The chip's own clock may make a conversion so much longer than typical."""
_MOST_V = 36.0
"""What the chip can measure."""
_RATED_A = 15.0


class Register(IntEnum):
    """Addresses of the registers that are used here."""

    CONFIG = 0x00
    CURRENT = 0x01
    VOLTAGE = 0x02
    POWER = 0x03
    MASK = 0x06
    MANUFACTURER = 0xFE
    DIE = 0xFF


class Averaging(NamedTuple):
    """How the chip makes one result out of many conversions; the fields as they stand in CONFIG."""

    average: int
    voltage_time: int
    current_time: int

    @property
    def conversions(self) -> int:
        """How many conversions of each quantity make one result."""
        return _AVERAGES[self.average]

    @property
    def span_s(self) -> float:
        """Seconds, typically, from one result to the next."""
        return self.conversions * (_CONVERSIONS_S[self.voltage_time] + _CONVERSIONS_S[self.current_time])

    @property
    def word(self) -> int:
        """CONFIG for continuous conversion with this averaging."""
        return _RESERVED | self.average << 9 | self.voltage_time << 6 | self.current_time << 3 | _CONTINUOUS

    @classmethod
    def of(cls, word: int) -> "Averaging":
        """What CONFIG asks for."""
        return cls(word >> 9 & 7, word >> 6 & 7, word >> 3 & 7)


def averaging_for(period_s: float) -> Averaging:
    """The averaging that covers most of a reading period and still ends within it, on the slowest chip.

    The current gets at least the time of the voltage: it is what varies. Of equals the one with more conversions: less noise.
    """
    limit_s = period_s / _SLOWEST
    choices = [Averaging(a, v, c) for a in range(8) for v in range(8) for c in range(v, 8)]
    return max(choices, key=lambda choice: (choice.span_s if choice.span_s <= limit_s else -inf, choice.conversions, choice.current_time))


def swapped(word: int) -> int:
    """`word` with its two bytes exchanged."""
    return (word & 0xFF) << 8 | word >> 8


def amperes(word: int) -> float:
    """The current register, two's complement. Raises BadReading at the ends of its range, where it says nothing."""
    counts = word - 0x10000 if word & 0x8000 else word
    if counts in (-0x8000, 0x7FFF):
        raise BadReading("current_a", counts * CURRENT_A, f"less than the range of the chip; it is rated for {_RATED_A:g} A")
    return counts * CURRENT_A


def volts(word: int) -> float:
    """The bus voltage register. Raises BadReading above what the chip can measure."""
    if (voltage_v := word * VOLTAGE_V) > _MOST_V:
        raise BadReading("voltage_v", voltage_v, f"at most {_MOST_V:g} V")
    return voltage_v


def is_ina260(manufacturer: int, die: int) -> bool:
    """Whether the identity registers are those of an INA260 of any revision."""
    return manufacturer == MANUFACTURER and die >> 4 == DIE
