"""Shelly relays of the second generation and later (Plus, Pro, Gen3, Gen4), over HTTP JSON-RPC.

Reference: https://shelly-api-docs.shelly.cloud/gen2/ComponentsAndServices/Switch
"""

from collections.abc import Callable
from dataclasses import replace

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.shelly_reply import RunningTimer, parse_initial_state, parse_status
from services.relay_bridge.drivers.shelly_rpc import RpcSession
from services.relay_bridge.errors import DeviceRefused, DeviceSilent, NotCarriedOut
from services.relay_bridge.status import Status, discrepancy, word


def connect(device: RelayDevice, monotonic: Callable[[], float]) -> "ShellyGen2":
    """The driver for `device`. Raises ValueError for an unusable address."""
    return ShellyGen2(device.address, device.channel, device.timeout_s, monotonic)


class ShellyGen2:
    """One channel of one Shelly. Commands and polls have a connection each, so that neither waits for the other."""

    def __init__(self, address: str, channel: int, timeout_s: float, monotonic: Callable[[], float]) -> None:
        self._channel = channel
        self._monotonic = monotonic
        self._commands = RpcSession(address, timeout_s)
        self._polls = RpcSession(address, timeout_s)
        self._first_seen: tuple[RunningTimer, float] | None = None

    def status(self) -> Status:
        """See RelayDriver."""
        return self._read(self._polls)

    def set(self, *, on: bool, timer_s: float | None) -> Status:
        """See RelayDriver. Setting without `toggle_after` is what cancels a running timer."""
        timer = {} if timer_s is None else {"toggle_after": timer_s}
        self._commands.call("Switch.Set", id=self._channel, on=on, **timer)
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
        if self._initial_state() == wanted:
            return False
        self._polls.call("Switch.SetConfig", id=self._channel, config={"initial_state": wanted})
        if (found := self._initial_state()) != wanted:
            raise NotCarriedOut(f"keeps the boot state {found!r} though {wanted!r} was set")
        return True

    def close(self) -> None:
        """See RelayDriver."""
        self._commands.close()
        self._polls.close()

    def _initial_state(self) -> str:
        return parse_initial_state(self._polls.call("Switch.GetConfig", id=self._channel))

    def _read(self, session: RpcSession) -> Status:
        status, timer = parse_status(session.call("Switch.GetStatus", id=self._channel))
        if timer is None:
            return status
        # The device's clock may be wrong or unset, so what is left is counted from when we first saw this timer.
        now = self._monotonic()
        seen = self._first_seen
        if seen is None or seen[0] != timer:
            self._first_seen = seen = (timer, now)
        return replace(status, timer_s=max(0.0, timer.duration_s - (now - seen[1])))
