"""An INA260 at register level, behind SMBus word calls. A kernel's I²C bus cannot be had in a test, so the bus itself is not emulated.

Registers and timing as in the data sheet (SBOS656); words travel low byte first, as SMBus has it. What is measured at the end of an
averaging span stands for its mean.
"""

import errno
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from services.simulator.devices.faults import Faults

_CONFIG, _CURRENT, _VOLTAGE, _POWER, _MASK, _LIMIT, _MANUFACTURER, _DIE = 0x00, 0x01, 0x02, 0x03, 0x06, 0x07, 0xFE, 0xFF
_AT_POWER_ON = 0x6127
_RESET = 0x8000
_READY = 0x0008
_CONTINUOUS = 0x0007
_AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)
_CONVERSIONS_US = (140, 204, 332, 588, 1100, 2116, 4156, 8244)


class Direct(NamedTuple):
    """A direct-current line, now."""

    voltage_v: float
    current_a: float
    """Positive from IN+ to IN-."""


class Ina260Chip:
    """The chip. It converts by the real clock, also where station time runs faster."""

    def __init__(self, line: Callable[[], Direct], *, address: int = 0x40, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.address = address
        self._line = line
        self._monotonic = monotonic
        self._faults = Faults()
        self.power_on()

    def power_on(self) -> None:
        """All registers as after power came, or after a brown-out."""
        self._registers = {_CONFIG: _AT_POWER_ON, _CURRENT: 0, _VOLTAGE: 0, _POWER: 0, _MASK: 0, _LIMIT: 0}
        self._registers |= {_MANUFACTURER: 0x5449, _DIE: 0x2270}
        self._restart()

    def suffer(self, faults: Faults) -> None:
        """Have `nack`, `stuck` and `wrong_identity` from now on; the others are the bus's."""
        self._faults = faults

    def read_word(self, address: int, register: int) -> int:
        """SMBus read word. Raises OSError 121 where no chip acknowledges."""
        self._acknowledge(address)
        self._convert()
        word = self._registers.get(register, 0)
        if register == _MASK:
            self._registers[_MASK] &= ~_READY
        if register == _DIE and self._faults.wrong_identity:
            word = 0x2260
        return _swapped(word)

    def write_word(self, address: int, register: int, word: int) -> None:
        """SMBus write word. Raises OSError 121 where no chip acknowledges."""
        self._acknowledge(address)
        value = _swapped(word)
        if register == _CONFIG:
            if value & _RESET:
                self.power_on()
                return
            self._registers[_CONFIG] = value & 0x0FFF | _AT_POWER_ON & 0x7000
            self._restart()
        elif register in (_MASK, _LIMIT):
            self._registers[register] = value

    @property
    def span_s(self) -> float:
        """Seconds from one result to the next, as configured."""
        config = self._registers[_CONFIG]
        return _AVERAGES[config >> 9 & 7] * (_CONVERSIONS_US[config >> 6 & 7] + _CONVERSIONS_US[config >> 3 & 7]) / 1e6

    def _restart(self) -> None:
        self._started = self._monotonic()
        self._results = 0
        self._registers[_MASK] &= ~_READY

    def _acknowledge(self, address: int) -> None:
        if address != self.address or self._faults.nack:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))

    def _convert(self) -> None:
        """Take up the result that was due last. Only continuous conversion of both quantities is emulated."""
        results = int((self._monotonic() - self._started) / self.span_s)
        if results == self._results or self._faults.stuck or self._registers[_CONFIG] & _CONTINUOUS != _CONTINUOUS:
            return
        self._results = results
        voltage_v, current_a = self._line()
        current, voltage = _within(round(current_a / 0.00125), -0x8000, 0x7FFF), _within(round(voltage_v / 0.00125), 0, 0x7FFF)
        self._registers[_CURRENT] = current & 0xFFFF
        self._registers[_VOLTAGE] = voltage
        self._registers[_POWER] = _within(round(abs(voltage * current) * 0.00125 * 0.00125 / 0.010), 0, 0xFFFF)
        self._registers[_MASK] |= _READY


def _within(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8
