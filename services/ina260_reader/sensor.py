"""One INA260: found, identified, set up, read."""

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from services.core.config.hardware import Ina260Sensor
from services.ina260_reader.chip import CONVERSION_READY, SETTING, Register, amperes, averaging_for, is_ina260, swapped, volts
from services.ina260_reader.errors import BusMissing, ChipError, ChipSilent, NoNewValue, WrongChip
from services.ina260_reader.port import WordPort, open_port

ATTEMPTS = 3
"""A word that the chip did not acknowledge is asked for so often: other traffic and long wires lose some."""
_NO_ACKNOWLEDGE = (errno.EREMOTEIO, errno.ENXIO)
"""By the kernel's own list of I²C fault codes adapters use either: 121 on a Raspberry Pi."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """What flows, averaged by the chip over most of the reading period."""

    voltage_v: float
    current_a: float
    """Signed: positive in the direction of the position's name."""

    @property
    def power_w(self) -> float:
        """Watts, with the current's sign."""
        return self.voltage_v * self.current_a


class Ina260:
    """One chip. Calls block and are made one at a time; the bus is opened when needed, and anew after each failure."""

    def __init__(self, settings: Ina260Sensor, open_bus: Callable[[int | str], WordPort] = open_port) -> None:
        self._settings = settings
        self._open_bus = open_bus
        self._averaging = averaging_for(settings.poll_s)
        self._port: WordPort | None = None

    def read(self) -> Reading:
        """The newest average. Raises ChipError, and nothing else.

        A chip that lost its settings (a brown-out) is set up again; until its first new average it has no new value.
        """
        try:
            if self._port is None:
                self._port = self._opened()
                self._identify()
            if self._word(Register.CONFIG) & SETTING != self._averaging.word & SETTING:
                self._set_up()
            if not self._word(Register.MASK) & CONVERSION_READY:
                raise NoNewValue(f"no new value within {self._settings.poll_s:g} s")
            current_a, voltage_v = amperes(self._word(Register.CURRENT)), volts(self._word(Register.VOLTAGE))
        except (BusMissing, ChipSilent, WrongChip):
            self.close()
            raise
        return Reading(voltage_v, (current_a - self._settings.offset_a) * self._settings.calibration)

    def close(self) -> None:
        """Let go of the bus."""
        if self._port is not None:
            with suppress(OSError):
                self._port.close()
            self._port = None

    def _opened(self) -> WordPort:
        try:
            return self._open_bus(self._settings.bus)
        except OSError as error:
            raise BusMissing(f"the I²C bus cannot be opened: {error.strerror or error}") from error

    def _identify(self) -> None:
        manufacturer, die = self._word(Register.MANUFACTURER), self._word(Register.DIE)
        if not is_ina260(manufacturer, die):
            raise WrongChip(f"no INA260: it calls itself {manufacturer:#06x} {die:#06x}")

    def _set_up(self) -> None:
        port, word = self._port, swapped(self._averaging.word)
        assert port is not None  # noqa: S101 - read opens it
        self._retried(lambda: port.write_word(self._settings.address, Register.CONFIG, word))

    def _word(self, register: Register) -> int:
        port = self._port
        assert port is not None  # noqa: S101 - read opens it
        return swapped(self._retried(lambda: port.read_word(self._settings.address, register)))

    def _retried(self, call: Callable[[], T]) -> T:
        for left in reversed(range(ATTEMPTS)):
            try:
                return call()
            except OSError as error:
                if error.errno not in _NO_ACKNOWLEDGE or not left:
                    raise _failure(error) from error
        raise AssertionError("unreachable")


def _failure(error: OSError) -> ChipError:
    if error.errno in _NO_ACKNOWLEDGE:
        return ChipSilent(f"does not acknowledge, {ATTEMPTS} times in a row")
    if isinstance(error, ConnectionError) or error.errno in (errno.ENODEV, errno.EBADF):
        return BusMissing(f"the I²C bus is gone: {error.strerror or error}")
    return ChipSilent(f"does not answer: {error.strerror or error}")
