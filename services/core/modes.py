"""The six modes of a station, what each demands of its hardware, and the one table of which relay stands where in which.

`Switchboard` is that table for one hardware. From it come the safe mode and, by way of the safe mode, the safe state of every relay:
the state the bridges let go to, the state devices boot into, and the only state that carries no dead-man timer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from types import MappingProxyType

from services.core.positions import Position
from services.core.record import record


class Mode(IntEnum):
    """A combination of the relays P1, P2 and P3."""

    ALL_OFF = 0
    """Curtailment: the load is off."""
    GRID_AND_CHARGE = 1
    """Grid feeds the load and charges the battery; P3 stands by for an outage."""
    GRID = 2
    """Grid feeds the load, the battery rests, P3 stands by. The safe mode, wherever it is possible."""
    BATTERY_AND_CHARGE = 3
    """Battery feeds the load while the grid charges it. Never chosen during an event."""
    CHARGE_ONLY = 4
    """Grid charges the battery; the load is off."""
    BATTERY = 5
    """Battery feeds the load."""


SAFE_MODE = Mode.GRID
"""What a phase proposes when it wants nothing of the battery. Where it is not possible, the guard puts the station's own in its place:
see `Switchboard.safe_mode`."""


class Feed(StrEnum):
    """What feeds the load."""

    GRID = "grid"
    BATTERY = "battery"
    NOTHING = "nothing"


FEEDS: Mapping[Mode, Feed] = MappingProxyType(
    {
        Mode.ALL_OFF: Feed.NOTHING,
        Mode.GRID_AND_CHARGE: Feed.GRID,
        Mode.GRID: Feed.GRID,
        Mode.BATTERY_AND_CHARGE: Feed.BATTERY,
        Mode.CHARGE_ONLY: Feed.NOTHING,
        Mode.BATTERY: Feed.BATTERY,
    }
)
CHARGES = frozenset({Mode.GRID_AND_CHARGE, Mode.BATTERY_AND_CHARGE, Mode.CHARGE_ONLY})
"""Modes in which the grid charges the battery."""


@record(frozen=True, slots=True)
class Relays:
    """The wanted or reported state of the three switchable positions. None is unknown."""

    p1: bool | None
    p2: bool | None
    p3: bool | None

    def at(self, position: Position) -> bool | None:
        """The state at `position`; None for P4, which is never switched."""
        if position is Position.P1:
            return self.p1
        if position is Position.P2:
            return self.p2
        return self.p3 if position is Position.P3 else None


RELAYS: Mapping[Mode, Relays] = MappingProxyType(
    {
        Mode.ALL_OFF: Relays(False, False, False),
        Mode.GRID_AND_CHARGE: Relays(True, True, True),
        Mode.GRID: Relays(True, False, True),
        Mode.BATTERY_AND_CHARGE: Relays(False, True, True),
        Mode.CHARGE_ONLY: Relays(False, True, False),
        Mode.BATTERY: Relays(False, False, True),
    }
)
"""With grid priority at the transfer switch: P1 moves the load, and P3 stands by. With P1 inside the power station the same holds of P2
and P3, and P1 stands for the passthrough: it is on while P2 and P3 are."""
INVERTER_FIRST: Mapping[Mode, Relays] = MappingProxyType(
    {
        Mode.ALL_OFF: Relays(False, False, False),
        Mode.GRID_AND_CHARGE: Relays(True, True, False),
        Mode.GRID: Relays(True, False, False),
        Mode.BATTERY_AND_CHARGE: Relays(True, True, True),
        Mode.CHARGE_ONLY: Relays(False, True, False),
        Mode.BATTERY: Relays(True, False, True),
    }
)
"""With inverter priority the parts are exchanged: P3 moves the load, and P1 stands by, so that a dead inverter hands it back by itself."""


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
    """A relay at P3, or the power station's own AC output where the configuration lets it be switched."""
    ats_priority: AtsPriority
    """Means nothing with P1 inside."""
    passthrough: bool = False
    """With P2 on, the power station passes grid power through to P3."""
    p1_inside: bool = False
    """P1 lies inside the power station, as its passthrough; the load hangs on its AC output, and P2 is the only way in."""

    @property
    def inverter_first(self) -> bool:
        """There is a transfer switch, and it prefers the inverter."""
        return self.ats_priority is AtsPriority.INVERTER and not self.p1_inside


@dataclass(frozen=True, slots=True)
class Switchboard:
    """Which relay stands where in which mode, for one hardware. Made once: see `switchboard`."""

    hardware: Hardware
    relays: Mapping[Mode, Relays]
    allowed: frozenset[Mode]
    """The modes that this hardware can do."""
    safe_mode: Mode
    """Where everything falls back to: the load on the grid and, wherever that is possible, nothing charging."""
    transfer: Position
    """The relay that moves the load: off the grid when it leaves its safe state, and back when it returns."""
    known: Mapping[tuple[bool | None, bool | None, bool | None], Mode]
    """The modes by the states at P1, P2 and P3, None where nothing can be read back."""

    @property
    def rests_charging(self) -> bool:
        """With the load on the grid the battery always charges: it sits full, and no charge can be held back."""
        return self.safe_mode in CHARGES

    def safe(self, position: Position) -> bool:
        """The safe state of the relay at `position`: also its boot state, and the only one without a dead-man timer."""
        return bool(self.relays[self.safe_mode].at(position))

    def possible(self, mode: Mode) -> Mode:
        """`mode`, or the safe mode in the place of a resting one that this hardware cannot do."""
        return self.safe_mode if mode is Mode.GRID else mode

    def mode_of(self, states: Relays) -> Mode | None:
        """The mode that these relay states make; see `mode_at`."""
        return self.mode_at(states.p1, states.p2, states.p3)

    def mode_at(self, p1: bool | None, p2: bool | None, p3: bool | None) -> Mode | None:
        """The mode that these states of the relays make; None while one of them is unknown, or when none fits.

        Without an actuator at P3 the inverter's output counts as always on, or as following P1 where P3 moves the load.
        """
        hardware = self.hardware
        return self.known.get((None if hardware.p1_inside else p1, p2, p3 if hardware.p3_actuator else None))


@cache
def switchboard(hardware: Hardware) -> Switchboard:
    """The switchboard of `hardware`. That its safe mode is possible is for the configuration to see: `refusal` tells."""
    transfer = Position.P2 if hardware.p1_inside else Position.P3 if hardware.inverter_first else Position.P1
    relays = _table(hardware)
    # Two modes look alike where P1 cannot be read back: those with P1 inside are the two that this hardware cannot do.
    modes = [mode for mode in Mode if not hardware.p1_inside or mode not in {Mode.GRID, Mode.BATTERY_AND_CHARGE}]
    known = {
        (
            None if hardware.p1_inside else relays[mode].p1,
            relays[mode].p2,
            relays[mode].p3 if hardware.p3_actuator else None,
        ): mode
        for mode in modes
        if hardware.p3_actuator or FEEDS[mode] is not Feed.NOTHING
    }
    return Switchboard(
        hardware=hardware,
        relays=relays,
        allowed=frozenset(mode for mode in Mode if refusal(mode, hardware) is None),
        safe_mode=Mode.GRID_AND_CHARGE if hardware.p1_inside else Mode.GRID,
        transfer=transfer,
        known=MappingProxyType(known),
    )


def mode_of(relays: Relays, *, p3_switchable: bool) -> Mode | None:
    """The mode that these relay states make with grid priority at a transfer switch; see `Switchboard.mode_of` for all others."""
    return switchboard(Hardware(True, True, p3_switchable, AtsPriority.GRID)).mode_of(relays)


def refusal(mode: Mode, hardware: Hardware) -> str | None:
    """Why this hardware cannot do `mode`, in words for a person; None when it can.

    Every mode that needs a relay *off* (or, for P2, *on* and *off*) needs an actuator there. With inverter
    priority at the transfer switch, modes 1 and 2 would drain the battery unless P3 can be switched off.
    """
    return _refusal_inside(mode, hardware) if hardware.p1_inside else _refusal_outside(mode, hardware)


def _table(hardware: Hardware) -> Mapping[Mode, Relays]:
    return INVERTER_FIRST if hardware.inverter_first else RELAYS


_P3 = "a relay at P3, or an AC output that the bridge may switch,"


def _refusal_outside(mode: Mode, hardware: Hardware) -> str | None:
    """With P1 beside the power station, and a transfer switch where both meet."""
    wanted, feed = _table(hardware)[mode], FEEDS[mode]
    if not wanted.p1 and not hardware.p1_relay:
        return "needs a relay at P1 to take the load off the grid"
    if wanted.p2 and not hardware.p2_relay:
        return "needs a relay at P2 to charge and to stop charging"
    if feed is not Feed.NOTHING and hardware.inverter_first and not hardware.p3_actuator:
        if feed is Feed.GRID:
            return f"the transfer switch prefers the inverter: without {_P3} the battery would feed the load"
        return f"the transfer switch prefers the inverter: needs {_P3} to take the load back off the battery"
    if not wanted.p3 and not hardware.p3_actuator:
        return f"needs {_P3} to take the load off the battery"
    if mode is Mode.BATTERY_AND_CHARGE and hardware.passthrough:
        return "the power station passes grid power through: with P2 on the grid would feed the load, not the battery"
    if feed is Feed.BATTERY and hardware.ats_priority is AtsPriority.UNKNOWN:
        return "the transfer switch's priority is unknown: P1 may not open before it has been measured"
    return None


def _refusal_inside(mode: Mode, hardware: Hardware) -> str | None:
    """With P1 inside the power station: P2 on is grid to the load and to the battery, P2 off is battery to the load."""
    if mode is Mode.GRID:
        return (
            "P1 is inside the power station: with P2 on the battery charges, with P2 off it feeds the load,"
            " and no register is proved to stop the charge alone"
        )
    if mode is Mode.BATTERY_AND_CHARGE:
        return "P1 is inside the power station: with P2 on the grid feeds the load, not the battery"
    wanted = RELAYS[mode]
    if not wanted.p2 and not hardware.p2_relay:
        return "needs a relay at P2 to take load and battery off the grid"
    if not wanted.p3 and not hardware.p3_actuator:
        return f"needs {_P3} to take the load off"
    return None


def allowed_modes(hardware: Hardware) -> frozenset[Mode]:
    """The modes this hardware can do."""
    return switchboard(hardware).allowed
