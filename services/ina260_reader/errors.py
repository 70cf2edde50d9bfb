"""What reading a chip may raise. A caller handles `ChipError`; nothing else comes out of a sensor's calls."""


class ChipError(Exception):
    """The chip could not be read; `remedy` says what a person can do."""

    remedy = ""


class BusMissing(ChipError):
    """There is no such I²C bus, or it may not be opened."""

    remedy = "switch the I²C bus on (raspi-config, Interface Options), join the group i2c, and check positions.*.bus"


class ChipSilent(ChipError):
    """Nobody acknowledges at the address."""

    remedy = "check wiring and supply of the INA260 and positions.*.address; `i2cdetect -y 1` shows who answers on bus 1"


class WrongChip(ChipError):
    """Somebody answers there, and it is no INA260."""

    remedy = "check positions.*.address: 0x40 as sold, up to 0x4f by the bridges A0 and A1"


class NoNewValue(ChipError):
    """The chip has not finished a conversion since it was last read: what its registers hold is old."""

    remedy = "switch its supply off and on; if it happens again the chip is broken"


class BadReading(ChipError):
    """A value that cannot be true."""

    remedy = "check the wiring of the INA260, and that panel and chip fit: 36 V and 15 A at most"

    def __init__(self, field: str, value: float, expected: str) -> None:
        self.field = field
        self.value = f"{value:g}"
        super().__init__(f"bad reading: {field} is {value:g}, expected {expected}")
