"""The relay drivers by the name that the configuration uses."""

from collections.abc import Callable
from importlib import import_module

from services.core.config.hardware import RelayDevice
from services.relay_bridge.driver import RelayDriver

DRIVERS = {"shelly_gen2": "services.relay_bridge.drivers.shelly_gen2"}
"""Modules with a `connect(device, monotonic)`, imported only when used: a driver may need a library of its own."""


def connect(device: RelayDevice, monotonic: Callable[[], float]) -> RelayDriver:
    """The driver for `device`; nothing is sent yet. Raises ValueError with a remedy for an unknown driver or unusable address."""
    if (module := DRIVERS.get(device.driver)) is None:
        raise ValueError(f"driver: {device.driver!r} is not known; use one of {', '.join(sorted(DRIVERS))}")
    driver: RelayDriver = import_module(module).connect(device, monotonic)
    return driver
