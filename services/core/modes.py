"""The six modes of a station, and what each demands of its hardware."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from services.core.positions import Position


class Mode(IntEnum):
    """A combination of the relays P1, P2 and P3."""

    ALL_OFF = 0
    """Curtailment: the load is off."""
    GRID_AND_CHARGE = 1
    """Grid feeds the load and charges the battery; P3 stands by for an outage."""
    GRID = 2
    """Grid feeds the load, the battery rests, P3 stands by. The safe mode."""
    BATTERY_AND_CHARGE = 3
    """Battery feeds the load while the grid charges it. Never chosen during an event."""
    CHARGE_ONLY = 4
    """Grid charges the battery; the load is off."""
    BATTERY = 5
    """Battery feeds the load."""


SAFE_MODE = Mode.GRID


@dataclass(frozen=True, slots=True)
class Relays:
    """The wanted or reported state of the three switchable positions. None is unknown."""

    p1: bool | None
    p2: bool | None
    p3: bool | None

    def at(self, position: Position) -> bool | None:
        """The state at `position`; None for P4, which is never switched."""
        return {Position.P1: self.p1, Position.P2: self.p2, Position.P3: self.p3}.get(position)


RELAYS: dict[Mode, Relays] = {
    Mode.ALL_OFF: Relays(False, False, False),
    Mode.GRID_AND_CHARGE: Relays(True, True, True),
    Mode.GRID: Relays(True, False, True),
    Mode.BATTERY_AND_CHARGE: Relays(False, True, True),
    Mode.CHARGE_ONLY: Relays(False, True, False),
    Mode.BATTERY: Relays(False, False, True),
}
_MODE_OF = {(relays.p1, relays.p2, relays.p3): mode for mode, relays in RELAYS.items()}


def mode_of(relays: Relays, *, p3_switchable: bool) -> Mode | None:
    """The mode that these relay states make, or None while one of them is unknown or none fits.

    Without an actuator at P3 the inverter's output counts as always on.
    """
    return _MODE_OF.get((relays.p1, relays.p2, relays.p3 if p3_switchable else True))


class AtsPriority(StrEnum):
    """Which input the transfer switch takes when both are live."""

    GRID = "grid"
    INVERTER = "inverter"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What is there to switch with."""

    p1_relay: bool
    p2_relay: bool
    p3_actuator: bool
    """A relay at P3. The power station's own AC output does not count: it has no dead-man timer, and nothing here commands it."""
    ats_priority: AtsPriority
    passthrough: bool = False
    """With P2 on, the power station passes grid power through to P3."""
    p1_inside: bool = False
    """P1 lies inside the power station, as its passthrough; the load hangs on its AC output, and P2 is the only way in."""


_AC_OUTPUT = "the power station's own AC output is not switched by the modes yet"


def refusal(mode: Mode, hardware: Hardware) -> str | None:
    """Why this hardware cannot do `mode`, in words for a person; None when it can.

    Every mode that needs a relay *off* (or, for P2, *on* and *off*) needs an actuator there. With inverter
    priority at the transfer switch, modes 1 and 2 would drain the battery unless P3 can be switched off.
    """
    return _refusal_inside(mode, hardware) if hardware.p1_inside else _refusal_outside(mode, hardware)


def _refusal_outside(mode: Mode, hardware: Hardware) -> str | None:
    """With P1 beside the power station, and a transfer switch where both meet."""
    wanted = RELAYS[mode]
    if not wanted.p1 and not hardware.p1_relay:
        return "needs a relay at P1 to take the load off the grid"
    if wanted.p2 and not hardware.p2_relay:
        return "needs a relay at P2 to charge and to stop charging"
    if not wanted.p3 and not hardware.p3_actuator:
        return f"needs a relay at P3 to take the load off the battery ({_AC_OUTPUT})"
    if mode is Mode.BATTERY_AND_CHARGE and hardware.passthrough:
        return "the power station passes grid power through: with P2 on the grid would feed the load, not the battery"
    if wanted.p1 and hardware.ats_priority is AtsPriority.INVERTER and not hardware.p3_actuator:
        return "the transfer switch prefers the inverter: without a relay at P3 the battery would feed the load"
    if not wanted.p1 and wanted.p3 and hardware.ats_priority is AtsPriority.UNKNOWN:
        return "the transfer switch's priority is unknown: P1 may not open before it has been measured"
    return None


def _refusal_inside(mode: Mode, hardware: Hardware) -> str | None:
    """With P1 inside the power station: P2 on is grid to the load and to the battery, P2 off is battery to the load."""
    if mode is Mode.GRID:
        return "P1 is inside the power station: with P2 on the battery charges, with P2 off it feeds the load"
    if mode is Mode.BATTERY_AND_CHARGE:
        return "P1 is inside the power station: with P2 on the grid feeds the load, not the battery"
    wanted = RELAYS[mode]
    if not wanted.p2 and not hardware.p2_relay:
        return "needs a relay at P2 to take load and battery off the grid"
    if not wanted.p3 and not hardware.p3_actuator:
        return f"needs a relay at P3 to take the load off ({_AC_OUTPUT})"
    return None


def allowed_modes(hardware: Hardware) -> frozenset[Mode]:
    """The modes this hardware can do."""
    return frozenset(mode for mode in Mode if refusal(mode, hardware) is None)
