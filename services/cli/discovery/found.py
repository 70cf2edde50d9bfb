"""What was found, and how several findings of one device become one. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """What a device can be in a station."""

    RELAY = "relay"
    STATION = "power station"
    SENSOR = "DC sensor"


@dataclass(frozen=True, slots=True)
class Finding:
    """One device, as the station file would name it."""

    kind: Kind
    name: str
    """What it calls itself."""
    model: str
    driver: str
    """The driver that can use it; empty where there is none yet."""
    address: str
    """As the driver wants it."""
    found_by: tuple[str, ...]
    channels: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one technique came to."""

    technique: str
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    """Why it could not look, in one line; empty when it could."""


_PREFERRED = ("shelly_gen2", "shelly_gen1", "kasa")
"""The network before Bluetooth, for a device that is found on both: more than one can speak to it, and it answers sooner."""
_KINDS = list(Kind)


def fold(outcomes: Iterable[Outcome]) -> list[Finding]:
    """All devices, each once, relays first; the same name in two places is one device."""
    devices: dict[tuple[Kind, str], Finding] = {}
    for finding in (finding for outcome in outcomes for finding in outcome.findings):
        key = (finding.kind, (finding.name or finding.address).casefold())
        known = devices.get(key)
        devices[key] = finding if known is None else _same(known, finding)
    return sorted(devices.values(), key=lambda device: (_KINDS.index(device.kind), device.name.casefold(), device.address))


def _same(a: Finding, b: Finding) -> Finding:
    better, other = (a, b) if _rank(a) <= _rank(b) else (b, a)
    ways = tuple(dict.fromkeys([*a.found_by, *b.found_by]))
    return replace(better, found_by=ways, model=better.model or other.model, channels=max(a.channels, b.channels))


def _rank(finding: Finding) -> int:
    return _PREFERRED.index(finding.driver) if finding.driver in _PREFERRED else len(_PREFERRED)
