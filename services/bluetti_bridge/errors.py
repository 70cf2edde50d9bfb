"""What a power station driver may raise. A caller handles `StationError`; nothing else comes out of a driver's calls."""


class StationError(Exception):
    """The power station could not be read; `remedy` says what a person can do."""

    remedy = ""


class StationSilent(StationError):
    """No answer: unreachable, too slow, or it hung up in mid-answer."""

    remedy = "check the power station's power, the way to it, and battery.address in the configuration"


class NoBluetooth(StationError):
    """Nobody could be heard at all: this machine's own Bluetooth is missing or switched off."""

    remedy = "plug in or switch on the adapter and start bluetoothd; in a container, mount /run/dbus"


class StationRefused(StationError):
    """It answered, and the answer is an error."""

    remedy = "check battery.driver and battery.address in the configuration"


class BadReply(StationError):
    """A field, or the whole reply, that cannot be true or understood."""

    remedy = "check that battery.driver fits the power station's model and firmware"

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        self.value = repr(value)[:80]
        super().__init__(f"bad reply: {field} is {self.value}, expected {expected}")
