"""The relay drivers by the name that the configuration uses."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from services.core.config.hardware import RelayDevice
from services.relay_bridge.driver import RelayDriver

DRIVERS = {
    "kasa": "services.relay_bridge.drivers.kasa",
    "shelly_ble": "services.relay_bridge.drivers.shelly_ble",
    "shelly_gen1": "services.relay_bridge.drivers.shelly_gen1",
    "shelly_gen2": "services.relay_bridge.drivers.shelly_gen2",
}
"""Modules with a `connect(device, monotonic)`, imported only when used: a driver may need a library of its own.

A module whose devices can have a password takes it as a third argument of `connect`. It may also have

- `identify(address, timeout_s) -> str`: what the device there is called for life; it blocks, and raises DeviceError or ValueError;
- `identify_for(device) -> Identify | None` in its place, where some of its devices cannot be told apart;
- `async listen(device, password, changed)`: calls `changed` when the device (asked for anew at each connect, for it may move) tells that it
  switched, until cancelled.
"""

Identify = Callable[[str, float], str]
Listen = Callable[[Callable[[], RelayDevice], str | None, Callable[[], None]], Awaitable[None]]


def connect(device: RelayDevice, monotonic: Callable[[], float], secret: str | None = None) -> RelayDriver:
    """The driver for `device`, whose password is `secret`; nothing is sent yet.

    Raises ValueError with a remedy for an unknown driver or an unusable address.
    """
    connect_to: Callable[..., RelayDriver] = _module(device).connect
    return connect_to(device, monotonic) if secret is None else connect_to(device, monotonic, secret)


def identify_for(device: RelayDevice) -> Identify | None:
    """How to tell who answers at an address; None if such devices cannot be told apart. Raises as `connect`."""
    module = _module(device)
    found: Any = module.identify_for(device) if hasattr(module, "identify_for") else getattr(module, "identify", None)
    return found  # type: ignore[no-any-return]


def listen_for(device: RelayDevice) -> Listen:
    """How to hear from `device`. Raises ValueError if such devices tell nothing by themselves, or as `connect`."""
    found: Any = getattr(_module(device), "listen", None)
    if found is None:
        raise ValueError(f"push: {device.driver} devices tell nothing by themselves; leave push out")
    return found  # type: ignore[no-any-return]


def _module(device: RelayDevice) -> ModuleType:
    if (module := DRIVERS.get(device.driver)) is None:
        raise ValueError(f"driver: {device.driver!r} is not known; use one of {', '.join(sorted(DRIVERS))}")
    return import_module(module)
