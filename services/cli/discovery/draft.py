"""Writes a station file from what was found and chosen. Pure. What nobody knows is marked, and does not pass `sps check-config`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.cli.discovery.found import Finding
from services.core.config.load import FILL_IN

SIZES = {
    "AC180": (1152, 1800, 700),
    "AC2A": (204.8, 300, None),
    "EB3A": (268, 600, None),
}
"""Capacity (Wh) and inverter (W) by the makers' data sheets, and the AC charging power (W) as seen by owners; None is not known."""
BLE_POLL_S = 60
BLE_STALE_S = 150
"""Two polls over Bluetooth, and a little: a reading counts for so long."""
_ROLES = {"p1": "grid to load", "p2": "grid to battery", "p3": "battery to load", "p4": "PV to battery"}


@dataclass(frozen=True, slots=True)
class Placed:
    """A device and which of its channels."""

    finding: Finding
    channel: int = 0


@dataclass(frozen=True, slots=True)
class Choices:
    """What is known of the station to be. What is missing is marked."""

    name: str = "home"
    timezone: str | None = None
    relays: Mapping[str, Placed] = field(default_factory=dict)
    """By position."""
    battery: Finding | None = None
    capacity_wh: float | None = None
    inverter_w: float | None = None
    charge_w: float | None = None
    panel: Finding | None = None
    """The sensor at P4."""
    panel_at_station: bool = False
    """A panel that the power station itself measures."""


def draft(choices: Choices, candidates: list[Finding]) -> str:
    """The text of the station file; `candidates` are named where a choice is missing."""
    lines = [
        "# A draft by `sps discover`. Complete what says FILL-IN, then: sps check-config, sps relay verify-deadman, sps run, sps ats test.",
        "",
        f"station: {_scalar(choices.name)}",
        f"timezone: {_scalar(choices.timezone or FILL_IN)}{_mark(choices.timezone, 'an IANA name, such as America/New_York')}",
        "clock: system",
        "",
        "positions:",
    ]
    lines += _relay("p1", choices, candidates, needed=True)
    lines += _relay("p2", choices, candidates, needed=True)
    lines += (
        _relay("p3", choices, candidates, needed=False) if "p3" in choices.relays else ["  p3:  # battery to load", "    sensor: station"]
    )
    lines += _panel(choices)
    lines += ["", "transfer_switch:", "  priority: unknown  # `sps ats test` measures it; until then events are refused", ""]
    lines += _battery(choices)
    if choices.battery is not None and choices.battery.driver == "bluetti_ble":
        lines += ["", "control:", f"  battery_stale_after_s: {BLE_STALE_S}  # two polls of the power station, and a little"]
    return "\n".join([*lines, ""])


def is_complete(text: str) -> bool:
    """Whether nothing is left to fill in."""
    return not any(FILL_IN in line.split("#", 1)[0] for line in text.splitlines())


def _relay(position: str, choices: Choices, candidates: list[Finding], *, needed: bool) -> list[str]:
    placed = choices.relays.get(position)
    head = f"  {position}:  # {_ROLES[position]}"
    if placed is None:
        usable = [f"    # candidate: {c.driver} {c.address} ({c.name})" for c in candidates if c.driver]
        return [head, *usable, f"    driver: {FILL_IN}", f"    address: {FILL_IN}"] if needed else []
    found = placed.finding
    lines = [f"{head}: {found.name}", f"    driver: {_scalar(found.driver or FILL_IN)}", f"    address: {_scalar(found.address)}"]
    return [*lines, f"    channel: {placed.channel}"] if placed.channel or found.channels > 1 else lines


def _panel(choices: Choices) -> list[str]:
    head = f"  p4:  # {_ROLES['p4']}"
    if choices.panel is not None:
        bus, _, address = choices.panel.address.partition(" ")
        return [head, "    sensor: ina260", f"    bus: {_scalar(bus)}", f"    address: {address}"]
    return [head, "    sensor: station"] if choices.panel_at_station else []


def _battery(choices: Choices) -> list[str]:
    found = choices.battery
    known = SIZES.get(found.model, (None, None, None)) if found is not None else (None, None, None)
    figures = {
        "capacity_wh": (choices.capacity_wh or known[0], "from its data sheet"),
        "inverter_w": (choices.inverter_w or known[1], "continuous rating of its AC output"),
        "charge_w": (choices.charge_w or known[2], "what it draws at P2 while charging"),
    }
    if found is None or not found.driver:
        lines = [
            "battery:",
            f"  driver: {FILL_IN}  # bluetti_ble, or none for a power station without a data link",
            f"  address: {FILL_IN}",
        ]
    else:
        lines = [f"battery:  # {found.name}", f"  driver: {found.driver}", f"  address: {_scalar(found.address)}"]
        lines += [f"  model: {found.model}"] if found.model else []
        lines += [f"  poll_s: {BLE_POLL_S}  # each poll over Bluetooth is a connection of its own"]
    for name, (value, what) in figures.items():
        lines.append(f"  {name}: {FILL_IN if value is None else f'{value:g}'}  # {what}")
    return lines


def _mark(value: str | None, what: str) -> str:
    return "" if value else f"  # {what}"


def _scalar(text: str) -> str:
    """`text` as a YAML scalar that stays a string, whatever it holds."""
    plain = text.replace("-", "").replace("_", "").isalnum() and not text[0].isdigit()
    return text if plain and text.casefold() not in {"yes", "no", "on", "off", "true", "false", "null", "y", "n"} else json.dumps(text)
