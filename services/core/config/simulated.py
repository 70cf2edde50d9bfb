"""Where the simulated devices are: `simulated` in a station file says only that a device is one, its place depends on the deployment."""

from collections.abc import Mapping
from typing import Any

SIMULATED = "simulated"
LOOPBACK = "127.0.0.1"
CONTROLS_PORT = 18083
"""The house's own controls: truth, faults, grid, state of charge; the `simulated` power station answers there, too."""
_RELAY_PORTS = {"p1": 18081, "p2": 18082, "p3": 18086}
_AIR_PORT = 18084
_CHIP_PORT = 18085
_FIRST_LOAD_PORT = 18087
_SERIAL = "2237000123456"


def located(data: Mapping[str, Any], host: str = LOOPBACK) -> dict[str, Any]:
    """`data`, a station file as read, with every address that says `simulated` turned into one at `host`.

    Whatever is wrong in `data` stays as it is, for its check to find; so does every address of a station that runs on the system clock.
    """
    whole = dict(data)
    if whole.get("clock") != "simulated":
        return whole
    if isinstance(positions := whole.get("positions"), Mapping):
        whole["positions"] = {name: _position(device, _RELAY_PORTS.get(str(name)), host) for name, device in positions.items()}
    if isinstance(loads := whole.get("loads"), Mapping):
        whole["loads"] = {name: _position(load, _FIRST_LOAD_PORT + number, host) for number, (name, load) in enumerate(loads.items())}
    battery = whole.get("battery")
    if isinstance(battery, Mapping) and battery.get("address") == SIMULATED:
        whole["battery"] = {**battery, "address": _battery_address(battery, host)}
    simulation = whole.get("simulation") or {}
    if isinstance(simulation, Mapping) and _controls_unsaid(simulation, whole.get("battery")):
        whole["simulation"] = {**simulation, "port_address": f"http://{host}:{CONTROLS_PORT}"}
    return whole


def unlocated(data: Mapping[str, Any]) -> str | None:
    """The first field of `data` that still says `simulated`, such as `positions.p1.address`."""
    sections = {"battery": data.get("battery")}
    for name in ("positions", "loads"):
        if isinstance(section := data.get(name), Mapping):
            sections |= {f"{name}.{key}": device for key, device in section.items()}
    for name, device in sections.items():
        if isinstance(device, Mapping):
            for field in ("address", "bus"):
                if device.get(field) == SIMULATED:
                    return f"{name}.{field}"
    return None


def _position(device: object, port: int | None, host: str) -> object:
    if not isinstance(device, Mapping):
        return device
    if device.get("bus") == SIMULATED:
        return {**device, "bus": f"tcp:{host}:{_CHIP_PORT}"}
    if device.get("address") != SIMULATED or port is None:
        return device
    driver = device.get("driver", "")
    if driver == "shelly_ble":
        return {**device, "address": f"hci:tcp:{host}:{port}/F0:5E:11:00:00:{port % 100:02d}"}
    return {**device, "address": f"{'kasa' if driver == 'kasa' else 'http'}://{host}:{port}"}


def _battery_address(battery: Mapping[str, Any], host: str) -> str:
    if battery.get("driver") == SIMULATED:
        return f"http://{host}:{CONTROLS_PORT}"
    return f"hci:tcp:{host}:{_AIR_PORT}/{battery.get('model') or 'AC180'}{_SERIAL}"


def _controls_unsaid(simulation: Mapping[str, Any], battery: object) -> bool:
    """Whether the controls have no address, and none that they could share with the power station."""
    if simulation.get("port_address") is not None:
        return bool(simulation["port_address"] == SIMULATED)
    return not (isinstance(battery, Mapping) and str(battery.get("address")).startswith("http"))
