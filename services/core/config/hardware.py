"""What hardware there is: relays, sensors, the transfer switch and the power station."""

from typing import Literal

from pydantic import Field

from services.core.config.base import Efficiency, Percent, Section
from services.core.modes import AtsPriority, Hardware


class RelayDevice(Section):
    """A relay with its power sensor at one position."""

    driver: str = "shelly_gen2"
    """The driver's name in the relay bridge's registry."""
    address: str
    """Base URL of the device, such as `http://192.168.1.20`."""
    channel: int = Field(default=0, ge=0, le=3)
    poll_s: float = Field(default=1.0, gt=0, le=60)
    """Real seconds between two polls."""
    timeout_s: float = Field(default=2.0, gt=0, le=10)
    """Real seconds after which a silent device counts as not answering."""


class StationSensor(Section):
    """A position that the power station itself measures."""

    sensor: Literal["station"]


class TransferSwitch(Section):
    """The automatic transfer switch. Its figures are assumed until measured (no maker states them)."""

    priority: AtsPriority = AtsPriority.UNKNOWN
    """Which input it takes when both are live. Events are refused while it is unknown."""


class PowerStation(Section):
    """The battery, charger and inverter in one box."""

    driver: str
    """The driver's name in the Bluetti bridge's registry."""
    address: str
    poll_s: float = Field(default=1.0, gt=0, le=3600)
    """Real seconds between two polls."""
    timeout_s: float = Field(default=5.0, gt=0, le=60)
    capacity_wh: float = Field(gt=0, le=100_000)
    inverter_w: float = Field(gt=0, le=20_000)
    """Continuous rating of the AC output."""
    charge_w: float = Field(gt=0, le=20_000)
    """Power drawn from the grid while charging, before the taper; used until it has been measured."""
    idle_w: float = Field(default=9.0, ge=0, le=500)
    """What the box draws from the battery while its inverter is on (an AC2A was measured at 9 W)."""
    discharge_efficiency: Efficiency = 0.85
    charge_efficiency: Efficiency = 0.93
    floor_pct: Percent = 20.0
    """Depth-of-discharge floor: never below it by our doing."""


class Positions(Section):
    """The devices at P1 to P4. A missing one is said so by leaving it out."""

    p1: RelayDevice
    p2: RelayDevice
    p3: StationSensor = StationSensor(sensor="station")
    p4: StationSensor | None = None

    def relays(self) -> dict[str, RelayDevice]:
        """The positions that carry a relay, by name."""
        return {name: device for name in ("p1", "p2", "p3") if isinstance(device := getattr(self, name), RelayDevice)}


class Limits(Section):
    """What must never be exceeded, whatever an event asks."""

    circuit_limit_w: float = Field(default=1440.0, gt=0, le=20_000)
    """P1 + P2, measured plus expected: 80 % of a 15 A circuit at 120 V."""
    transfer_limit_w: float | None = Field(default=None, gt=0)
    """A load with a motor is transferred only below this power; unset means no such load."""
    dwell_s: float = Field(default=300.0, ge=0, le=7200)
    """Least station seconds between two switchings of one relay, except for safety."""
    switchings_per_day: int = Field(default=60, ge=2, le=1000)
    """Most switchings of one relay in a local day, except for safety."""


def hardware_of(positions: Positions, switch: TransferSwitch) -> Hardware:
    """What the modes ask of the hardware, read from the configuration."""
    relays = positions.relays()
    return Hardware(p1_relay="p1" in relays, p2_relay="p2" in relays, p3_actuator="p3" in relays, ats_priority=switch.priority)
