"""What a service does that its station has no use for, in a container that stands there all the same: nothing, at next to no cost."""

import os
from pathlib import Path
from typing import NoReturn

from services.bus.heartbeat import IDLE
from services.core.config.station import Station


def unused(service: str, station: Station) -> str | None:
    """Why `station` has no use for `service`, in words; None where it has."""
    if service == "simulator" and station.clock != "simulated":
        return f"the station file has 'clock: {station.clock}'"
    if service == "home_assistant" and not station.home_assistant.enabled:
        return "the station file does not have 'home_assistant: {enabled: true}'"
    if service == "ina260_reader" and not station.positions.ina260s():
        return "no position of the station file has 'sensor: ina260'"
    if service == "bluetti_bridge" and not station.battery.has_data_link:
        return f"the station file has 'battery.driver: {station.battery.driver}'"
    return None


def rest(folder: Path) -> NoReturn:
    """Become a process that sleeps until it is ended. `folder` is where the service's heartbeat would be kept. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / IDLE).touch()
    os.execvp("sleep", ["sleep", "infinity"])  # noqa: S606, S607 - it costs a megabyte, a Python that waits thirty
