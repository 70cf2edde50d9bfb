"""Shelly relays of the second generation and later (Plus, Pro, Gen3, Gen4), over HTTP JSON-RPC.

Reference: https://shelly-api-docs.shelly.cloud/gen2/ComponentsAndServices/Switch
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol
from weakref import WeakValueDictionary

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.shelly_http import identify
from services.relay_bridge.drivers.shelly_reply import Reply, RunningTimer, parse_initial_state, parse_status
from services.relay_bridge.drivers.shelly_rpc import RpcSession
from services.relay_bridge.errors import DeviceRefused, DeviceSilent, NotCarriedOut
from services.relay_bridge.status import Status, discrepancy, word

__all__ = ["RpcSwitch", "Session", "ShellyGen2", "connect", "identify", "listen"]


def connect(device: RelayDevice, monotonic: Callable[[], float], password: str | None = None) -> "ShellyGen2":
    """The driver for `device`. Raises ValueError for an unusable address."""
    return ShellyGen2(device.address, device.channel, device.timeout_s, monotonic, password)


async def listen(device: Callable[[], RelayDevice], password: str | None, changed: Callable[[], None]) -> None:
    """Call `changed` whenever the device tells that its output moved, until cancelled; see shelly_push."""
    from services.relay_bridge.drivers.shelly_push import listen as listen_to  # noqa: PLC0415 - a library that only push needs

    await listen_to(device, password, changed)


_polls: "WeakValueDictionary[tuple[str, float, str | None], RpcSession]" = WeakValueDictionary()
"""The channels of one device are polled over one connection: it has six in all, and the app wants some."""


class Session(Protocol):
    """Whatever carries JSON-RPC to the device, for one thread at a time."""

    def call(self, method: str, **params: object) -> Reply:
        """The result of `method`. Raises DeviceSilent, DeviceRefused or BadReply."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class RpcSwitch:
    """One channel of one Shelly, over a session for its commands and one for its polls."""

    def __init__(self, channel: int, monotonic: Callable[[], float], commands: Session, polls: Session) -> None:
        self._channel = channel
        self._monotonic = monotonic
        self._commands = commands
        self._polls = polls
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

    def _read(self, session: Session) -> Status:
        status, timer = parse_status(session.call("Switch.GetStatus", id=self._channel))
        if timer is None:
            return status
        # The device's clock may be wrong or unset, so what is left is counted from when we first saw this timer.
        now = self._monotonic()
        seen = self._first_seen
        if seen is None or seen[0] != timer:
            self._first_seen = seen = (timer, now)
        return replace(status, timer_s=max(0.0, timer.duration_s - (now - seen[1])))


class ShellyGen2(RpcSwitch):
    """Over HTTP. Commands and polls have a connection each, so that neither waits for the other."""

    def __init__(self, address: str, channel: int, timeout_s: float, monotonic: Callable[[], float], password: str | None = None) -> None:
        key = (address, timeout_s, password)
        polls = _polls.get(key) or _polls.setdefault(key, RpcSession(address, timeout_s, password))
        super().__init__(channel, monotonic, RpcSession(address, timeout_s, password), polls)
