"""What a relay driver may raise. A caller handles `DeviceError`; nothing else comes out of a driver's calls."""

from services.relay_bridge.status import Status


class DeviceError(Exception):
    """Something is wrong with a device or the way to it; `remedy` says what a person can do."""

    remedy = ""


class DeviceSilent(DeviceError):
    """No answer: unreachable, refused the connection, too slow, or hung up in mid-answer. What it did is unknown."""

    remedy = "check the device's power, its network and the address in the configuration"


class DeviceRefused(DeviceError):
    """It answered, and the answer is an error: the request was not carried out."""

    remedy = "check the device's model, channel, password and firmware"


class BadReply(DeviceError):
    """It answered with something that cannot be true or understood. What it did is unknown."""

    remedy = "check that the address belongs to this kind of device, and its firmware"

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        self.value = repr(value)[:80]
        super().__init__(f"bad reply: {field} is {self.value}, expected {expected}")


class NotCarriedOut(DeviceError):
    """It accepted a request, but its read-back shows something else."""

    remedy = "check the relay, its timer and other controllers of the device (app, schedules, scripts)"

    def __init__(self, message: str, status: Status | None = None) -> None:
        self.status = status
        super().__init__(message)
