"""Every field that can be shared, at which level, and what it tells whoever receives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from services.core.preferences import SharingLevel

LEVELS = (SharingLevel.NONE, SharingLevel.EVENT, SharingLevel.HOURLY, SharingLevel.FULL)
"""Each holds the one before."""


class RecordKind(StrEnum):
    """What a record is about."""

    ANSWERS = "answers"
    """Whether the station takes part in an event."""
    EVENT = "event"
    """What an event came to."""
    HOURLY = "hourly"
    FULL = "full"
    REGISTRATION = "registration"
    """What the station is able to do. Its fields belong to level `event`."""
    ONLINE = "online"
    """Whether it is connected. Its field belongs to level `event`."""


_LEVEL_OF: Mapping[RecordKind, SharingLevel] = MappingProxyType(
    {
        RecordKind.ANSWERS: SharingLevel.NONE,
        RecordKind.EVENT: SharingLevel.EVENT,
        RecordKind.HOURLY: SharingLevel.HOURLY,
        RecordKind.FULL: SharingLevel.FULL,
    }
)


@dataclass(frozen=True, slots=True)
class SharedField:
    """One thing that can be switched on or off."""

    name: str
    kind: RecordKind
    meaning: str
    default_on: bool = True

    def within(self, level: SharingLevel) -> bool:
        """Whether the level holds it."""
        return LEVELS.index(_LEVEL_OF[self.kind]) <= LEVELS.index(level)


_POSITIONS = {"p1": "grid to load", "p2": "grid to battery", "p3": "battery to load", "p4": "sun to battery"}
_PORTS = {"ac_in": "its AC input", "ac_out": "its AC output", "dc_in": "its DC input", "dc_out": "its DC output"}


def _answers(name: str, meaning: str) -> SharedField:
    return SharedField(f"answers.{name}", RecordKind.ANSWERS, meaning)


def _event(name: str, meaning: str) -> SharedField:
    return SharedField(f"event.{name}", RecordKind.EVENT, meaning)


def _hourly(name: str, meaning: str) -> SharedField:
    return SharedField(f"hourly.{name}", RecordKind.HOURLY, meaning)


def _full(name: str, meaning: str) -> SharedField:
    return SharedField(f"full.{name}", RecordKind.FULL, meaning)


FIELDS: tuple[SharedField, ...] = (
    _answers("choice", "Whether you take part in an event: accepted, declined, or not possible."),
    _event("progress", "When an event has begun and ended here."),
    _event("online", "Whether the station is connected to the aggregator."),
    _event("terms", "With which goal and by which methods you took part."),
    _event("baseline", "What you would have drawn from the grid during the event, estimated from the days before."),
    _event("reduction", "By how much you drew less, and what the battery gave."),
    _event("performance", "How that compares with what was pledged, and how much of the event was measured."),
    _event("capacity_wh", "The size of your battery."),
    _event("power_w", "How much the inverter can give at once."),
    _event("pledge_w", "What you pledged for the season."),
    _event("programme", "The programme that you are enrolled in."),
    *(_hourly(f"{name}_wh", f"Energy of each hour, {where}.") for name, where in _POSITIONS.items()),
    _hourly("soc_pct", "The battery's charge at the end of each hour."),
    _hourly("covered", "How much of each hour was measured."),
    *(_full(f"{name}_w", f"Every reading of the power, {where}.") for name, where in _POSITIONS.items()),
    *(_full(f"{name}_v", f"Every reading of the voltage, {where}.") for name, where in _POSITIONS.items()),
    *(_full(f"{name}_wh", f"Every reading of the meter, {where}.") for name, where in _POSITIONS.items()),
    _full("soc_pct", "Every reading of the battery's charge."),
    _full("estimate_pct", "The battery's charge as estimated."),
    *(_full(f"{name}_w", f"Every reading of the power at the power station: {where}.") for name, where in _PORTS.items()),
    _full("ac_output_on", "Whether the power station's AC output is on."),
    _full("eco_mode", "Whether the power station saves power by switching itself off."),
)
ON_LEVEL: Mapping[str, SharedField] = MappingProxyType({one.name: one for one in FIELDS})
"""By name."""
