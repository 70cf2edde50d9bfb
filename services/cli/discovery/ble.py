"""Bluetti power stations and Shelly relays by what they advertise over Bluetooth Low Energy."""

import re
from collections.abc import Collection

from services.bluetti_bridge.models import model_of
from services.cli.discovery.found import Finding, Kind, Outcome

TECHNIQUE = "Bluetooth"
_SHELLY_COMPANY = 0x0BA9
"""Allterco Robotics in the Bluetooth SIG's list of company identifiers."""
_BLUETTI_SERVICE = "0000ff00-0000-1000-8000-00805f9b34fb"
_BLUETTI_NAME = re.compile(r"(?P<model>(?:AC|EB|EP|EL)\d+[A-Z]*)\d{13}")
"""The model, then the serial number."""


async def search(seconds: float, hci: str | None = None) -> Outcome:
    """Scan for so long; with `hci` (`host:port`) through an emulated adapter there."""
    try:
        from bleak import BleakScanner
        from bleak.exc import BleakError

        if hci is not None:
            from services.bus.ble.bumble_backend import backends
    except ImportError as error:
        return Outcome(TECHNIQUE, problem=f"{error.name} is not installed: pip install 'smart-power-station[bluetti-bridge]'")
    try:
        if hci is None:
            heard = await BleakScanner.discover(timeout=seconds, return_adv=True)
        else:
            heard = await BleakScanner.discover(timeout=seconds, return_adv=True, backend=backends(hci)[1])
    except (BleakError, OSError, EOFError) as error:
        hint = "is there one, and is bluetoothd running?" if hci is None else f"does the simulation run that offers {hci}?"
        return Outcome(TECHNIQUE, problem=f"no usable Bluetooth adapter ({error}); {hint}")
    prefix = "" if hci is None else f"hci:tcp:{hci}/"
    found = [
        device(f"{prefix}{about.address}", said.local_name or about.name or "", said.manufacturer_data, said.service_uuids, said.rssi)
        for about, said in heard.values()
    ]
    return Outcome(TECHNIQUE, tuple(finding for finding in found if finding is not None))


def device(address: str, name: str, companies: Collection[int], services: Collection[str], rssi_dbm: int) -> Finding | None:
    """The device that advertises so; None for what is neither of the two makes."""
    note = f"{rssi_dbm} dBm"
    if _SHELLY_COMPANY in companies or name.casefold().startswith("shelly"):
        model = name.rpartition("-")[0] or "Shelly"
        note = f"{note}; RPC over Bluetooth must be switched on in it"
        return Finding(Kind.RELAY, name or address, model, "shelly_ble", address, (TECHNIQUE,), 2 if "2PM" in name.upper() else 1, note)
    bluetti = _BLUETTI_NAME.fullmatch(name)
    if bluetti is None and _BLUETTI_SERVICE not in services:
        return None
    if (known := model_of(name)) is None:
        note = f"{note}; no register map of this model yet"
    model = known or (bluetti["model"] if bluetti else "")
    return Finding(Kind.STATION, name or address, model, "bluetti_ble" if known else "", address, (TECHNIQUE,), note=note)
