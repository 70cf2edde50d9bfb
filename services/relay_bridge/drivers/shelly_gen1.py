"""Shelly relays of the first generation (1PM, Plug, Plug S, 2.5), over HTTP.

Reference: https://shelly-api-docs.shelly.cloud/gen1/ . Proved against our emulator of it alone.
"""

from collections.abc import Callable
from math import ceil
from urllib.parse import urlencode

from requests.auth import HTTPBasicAuth

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.shelly_gen1_reply import parse_default_state, parse_status
from services.relay_bridge.drivers.shelly_http import USER, HttpSession, identify
from services.relay_bridge.drivers.shelly_json import Reply, parse_object
from services.relay_bridge.errors import DeviceRefused, DeviceSilent, NotCarriedOut
from services.relay_bridge.status import Status, discrepancy, word

__all__ = ["ShellyGen1", "connect", "identify"]


def connect(device: RelayDevice, monotonic: Callable[[], float], password: str | None = None) -> "ShellyGen1":
    """The driver for `device`. Raises ValueError for an unusable address."""
    del monotonic
    return ShellyGen1(device.address, device.channel, device.timeout_s, password)


class ShellyGen1:
    """One relay of one Shelly. Commands and polls have a connection each, so that neither waits for the other.

    The device counts its timer in whole seconds, so that a timer is rounded up.
    """

    def __init__(self, address: str, channel: int, timeout_s: float, password: str | None = None) -> None:
        self._channel = channel
        auth = HTTPBasicAuth(USER, password) if password is not None else None
        self._commands = HttpSession(address, timeout_s, auth)
        self._polls = HttpSession(address, timeout_s, auth)

    def status(self) -> Status:
        """See RelayDriver."""
        return self._read(self._polls)

    def set(self, *, on: bool, timer_s: float | None) -> Status:
        """See RelayDriver. Setting without `timer` is what cancels a running one."""
        timer_s = None if timer_s is None else float(ceil(timer_s))
        query: dict[str, object] = {"turn": word(on)} if timer_s is None else {"turn": word(on), "timer": int(timer_s)}
        _get(self._commands, f"/relay/{self._channel}", query)
        try:
            status = self._read(self._commands)
        except DeviceRefused as error:
            # To the caller, refused would mean that nothing was switched.
            raise DeviceSilent(f"was set {word(on)}, but not read back: {error}") from error
        if (difference := discrepancy(status, on=on, timer_s=timer_s)) is not None:
            raise NotCarriedOut(difference, status)
        return status

    def ensure_boot_state(self, *, on: bool) -> bool:
        """See RelayDriver. Written only when it differs: the device keeps it in flash memory."""
        wanted = word(on)
        settings = f"/settings/relay/{self._channel}"
        if parse_default_state(_get(self._polls, settings)) == wanted:
            return False
        _get(self._polls, settings, {"default_state": wanted})
        if (found := parse_default_state(_get(self._polls, settings))) != wanted:
            raise NotCarriedOut(f"keeps the boot state {found!r} though {wanted!r} was set")
        return True

    def close(self) -> None:
        """See RelayDriver."""
        self._commands.close()
        self._polls.close()

    def _read(self, session: HttpSession) -> Status:
        return parse_status(_get(session, "/status"), self._channel)


def _get(session: HttpSession, path: str, query: dict[str, object] | None = None) -> Reply:
    target = f"{path}?{urlencode(query)}" if query else path
    return parse_object(session.fetch("GET", target, what=path))
