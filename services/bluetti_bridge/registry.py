"""The power station drivers by the name that the configuration uses."""

from importlib import import_module

from services.bluetti_bridge.driver import PowerStationDriver
from services.bluetti_bridge.models import model_named, model_of
from services.core.config.hardware import PowerStation

DRIVERS = {
    "bluetti_ble": "services.bluetti_bridge.drivers.bluetti_ble",
    "bluetti_encrypted": "services.bluetti_bridge.drivers.bluetti_encrypted",
    "simulated": "services.bluetti_bridge.drivers.simulated",
}
"""Modules with a `connect(station)`, imported only when used: a driver may need a library of its own."""


def cannot_switch(station: PowerStation, control: str) -> str | None:
    """Why `control` cannot be written, as far as can be told before the power station has answered; None when nothing speaks against it."""
    if station.driver not in DRIVERS or station.driver == "simulated":
        return None
    name = station.model or model_of(station.address.rpartition("/")[2])
    if name is None or control in (model := model_named(name)).controls:
        return None
    return f"of an {model.name} no register is known that switches {control}; put a relay at P3, or leave 'switch' out"


def connect(station: PowerStation) -> PowerStationDriver:
    """The driver for `station`; nothing is sent yet. Raises ValueError with a remedy for an unknown driver or unusable address."""
    if (module := DRIVERS.get(station.driver)) is None:
        raise ValueError(f"driver: {station.driver!r} is not known; use one of {', '.join(sorted(DRIVERS))}")
    driver: PowerStationDriver = import_module(module).connect(station)
    return driver
