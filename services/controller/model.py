"""What a decision is made from, and what it is. Plain frozen data."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from services.controller.reasons import Reason
from services.core.battery import Battery
from services.core.config.hardware import RelayDevice
from services.core.config.policy import Control, DailyCycle
from services.core.config.station import Station
from services.core.events import Event
from services.core.modes import SAFE_MODE, Hardware, Mode, allowed_modes
from services.core.observer import Observer
from services.core.preferences import Preferences
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState

Phase = Literal["normal", "upcoming", "ongoing"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change while the controller runs."""

    hardware: Hardware
    allowed: frozenset[Mode]
    battery: Battery
    station: str
    zone: ZoneInfo
    cycle: DailyCycle
    control: Control
    interval: timedelta
    circuit_limit_w: float
    transfer_limit_w: float | None
    dwell_s: float
    switchings_per_day: int
    deadman_proof: bool
    """Whether P1 opens only after its dead-man was proved on the device: always but in a simulation."""
    alive_within_s: float
    """How fresh a sign of life from P3 must be before P1 may open: two polls of whoever gives it."""
    data_link: bool = True
    """The power station tells its state of charge. Without, it is observed, and P3's voltage proves that it lives."""
    panel: bool = True
    """There is a P4."""

    @classmethod
    def of(cls, station: Station) -> "Settings":
        """The settings that a station's configuration makes."""
        box, p3 = station.battery, station.positions.p3
        return cls(
            hardware=station.hardware,
            allowed=allowed_modes(station.hardware),
            battery=Battery(
                capacity_wh=box.capacity_wh,
                floor_pct=box.floor_pct,
                inverter_w=box.inverter_w,
                charge_w=box.charge_w,
                idle_w=box.idle_w,
                discharge_efficiency=box.discharge_efficiency,
                charge_efficiency=box.charge_efficiency,
            ),
            station=station.station,
            zone=station.zone,
            cycle=station.normal,
            control=station.control,
            interval=station.control.settlement_interval,
            circuit_limit_w=station.limits.circuit_limit_w,
            transfer_limit_w=station.limits.transfer_limit_w,
            dwell_s=station.limits.dwell_s,
            switchings_per_day=station.limits.switchings_per_day,
            deadman_proof=station.clock == "system",
            alive_within_s=max(2.0 * (box.poll_s if box.has_data_link else p3.poll_s if isinstance(p3, RelayDevice) else 0.0), 5.0),
            data_link=box.has_data_link,
            panel=station.positions.p4 is not None,
        )


class BaselineSpan(NamedTuple):
    """The estimated grid import of one settlement interval, as mean power."""

    start: datetime
    end: datetime
    import_w: float


class ManualMode(NamedTuple):
    """A person's override of the mode, with its end."""

    mode: Mode
    until: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything known at the start of a cycle. What was never heard is None."""

    monotonic_s: float
    """Real seconds, for what devices take their time for."""
    preferences: Preferences
    p1: Observed[PowerReading] | None = None
    p2: Observed[PowerReading] | None = None
    p3: Observed[PowerReading] | None = None
    p4: Observed[PowerReading] | None = None
    battery: Observed[BatteryReading] | None = None
    p1_relay: Observed[RelayState] | None = None
    p2_relay: Observed[RelayState] | None = None
    p3_relay: Observed[RelayState] | None = None
    event: Event | None = None
    """The ongoing event, else the nearest upcoming one."""
    baseline: tuple[BaselineSpan, ...] = ()
    override: ManualMode | None = None
    silent: bool = False
    """The bridge calls the power station silent: it has not answered for long."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The running settlement interval of an event, and what is carried over from those before."""

    event_id: str
    start: datetime
    end: datetime
    even_w: float
    """What the battery could hold evenly over the rest of the event, as seen at the interval's start."""
    carry_wh: float = 0.0
    """Reduction owed from earlier intervals (negative: given in advance); the PI's integral."""
    elapsed_s: float = 0.0
    """Of which readings were known."""
    avoided_wh: float = 0.0
    """P3 - P2 so far."""
    import_wh: float = 0.0
    load_wh: float = 0.0


@dataclass(frozen=True, slots=True)
class Switching:
    """When each relay was last switched by us, and how often today."""

    p1_at: datetime | None = None
    p2_at: datetime | None = None
    day: date | None = None
    p1_today: int = 0
    p2_today: int = 0


@dataclass(frozen=True, slots=True)
class Learned:
    """What the controller has measured of its house."""

    load_w: float | None = None
    """Smoothed load."""
    charge_w: float | None = None
    """Charging power from the grid below the taper."""
    pv_by_hour_wh: tuple[float, ...] = (0.0,) * 24
    """Smoothed PV energy of each local hour of the day."""
    pv_hour: int | None = None
    pv_hour_wh: float = 0.0


@dataclass(frozen=True, slots=True)
class Suspension:
    """Mode 2 for a while, because something was not as it should be."""

    until: datetime
    why: Reason


@dataclass(frozen=True, slots=True)
class Memory:
    """What the controller carries from one decision to the next; all of it survives a restart."""

    at: datetime | None = None
    """When the last decision was made."""
    mode: Mode = SAFE_MODE
    """The mode commanded then."""
    switching: Switching = field(default_factory=Switching)
    learned: Learned = field(default_factory=Learned)
    interval: Interval | None = None
    suspension: Suspension | None = None
    ease_until: datetime | None = None
    """After an event: when the load returns to the grid. Kept until the battery may be charged again."""
    charging: bool = False
    """A charge has begun and goes on to its target (hysteresis)."""
    low: bool = False
    """The lowest state of charge was reached; discharge resumes a little above it (hysteresis)."""
    p1_astray_since_s: float | None = None
    """Real seconds at which P1 was first seen in another state than commanded."""
    observer: Observer = field(default_factory=Observer)
    """The state of charge as seen from outside."""
    woken_at: datetime | None = None
    """When a charge last began that was to wake a silent power station."""


class Proposal(NamedTuple):
    """What a phase wants, before the guard."""

    mode: Mode
    reason: Reason
    goal_w: float | None = None
    duty: float | None = None
    next_change: datetime | None = None
    blind: bool = False
    """A charge that needs no known state of charge: it is there to find it out."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and why."""

    mode: Mode
    phase: Phase
    reason: Reason
    memory: Memory
    mode_confirmed: Mode | None
    goal_w: float | None = None
    duty: float | None = None
    event_id: str | None = None
    next_change: datetime | None = None
