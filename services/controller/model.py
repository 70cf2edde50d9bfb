"""What a decision is made from, and what it is. Plain frozen data."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from services.controller.reasons import Reason
from services.core.battery import Battery
from services.core.charge_curve import ChargeCurve
from services.core.config.hardware import RelayDevice
from services.core.config.policy import Control, DailyCycle
from services.core.config.station import Station
from services.core.events import Event
from services.core.goals import Goal
from services.core.loads import curtailment_refused
from services.core.modes import SAFE_MODE, Hardware, Mode, Switchboard, allowed_modes, switchboard
from services.core.observer import Observer
from services.core.preferences import Preferences
from services.core.pv_forecast import Forecast
from services.core.quiet import Span
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState
from services.core.record import record
from services.core.tariff import Tariff
from services.core.wear import Wear

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
    tariff: Tariff | None = None
    wear: Wear | None = None
    output_switched: bool = False
    """The actuator at P3 is the power station's own AC output."""
    shiftable: bool = False
    """There are deferrable loads that an event may put off."""
    curtailment_refused: str | None = "not asked for"
    """Why the load is never curtailed, whatever its person prefers."""
    board: Switchboard = field(init=False)
    """Which relay stands where in which mode of this hardware, and which mode is safe."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "board", switchboard(self.hardware))

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
            tariff=station.normal.tariff.tariff() if station.normal.tariff is not None else None,
            wear=station.normal.wear.wear() if station.normal.wear is not None else None,
            output_switched=station.positions.output_switched,
            shiftable=any(name not in station.always_on for name in station.loads),
            curtailment_refused=curtailment_refused(station.hardware, station.switched_load, station.always_on),
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


@record(frozen=True, slots=True)
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
    busy: tuple[Span, ...] = ()
    """When the other open events are: nothing is charged in them."""
    forecast: Forecast | None = None
    """The PV forecast, where there is a fresh one; the learnt profile holds for hours that it leaves out."""
    silent: bool = False
    """The bridge calls the power station silent: it has not answered for long."""


@record(frozen=True, slots=True)
class Interval:
    """The running settlement interval of an event, and what is carried over from those before."""

    event_id: str
    start: datetime
    end: datetime
    even_w: float
    """The mean power that the battery could be asked for in all of it, as seen at the last decision."""
    carry_wh: float = 0.0
    """Reduction owed from earlier intervals (negative: given in advance); the PI's integral."""
    elapsed_s: float = 0.0
    """Of which readings were known."""
    avoided_wh: float = 0.0
    """P3 - P2 so far."""
    import_wh: float = 0.0
    load_wh: float = 0.0
    worst_w: float | None = None
    """The poorest earlier interval in which the battery carried all the load there was."""
    operations: int = 0
    """Of the relay that moves the load, in this event."""
    goal: Goal | None = None
    """By which it is counted; with another one counting begins anew."""
    earlier_wh: float = 0.0
    """What the event's intervals before this one were given."""
    earlier_s: float = 0.0
    """In which time."""


@record(frozen=True, slots=True)
class Switching:
    """When the load (`p1`) and the charge (`p2`) were last switched by us, and how often today.

    The load is moved by the relay at P1, or by the one that stands in its place (`Switchboard.transfer`).
    """

    p1_at: datetime | None = None
    p2_at: datetime | None = None
    day: date | None = None
    p1_today: int = 0
    p2_today: int = 0


@record(frozen=True, slots=True)
class Learned:
    """What the controller has measured of its house."""

    load_w: float | None = None
    """Smoothed load."""
    load_now_w: float | None = None
    """Smoothed over a minute: the load to expect next."""
    charge_w: float | None = None
    """Charging power from the grid below the taper."""
    pv_by_hour_wh: tuple[float, ...] = (0.0,) * 24
    """Smoothed PV energy of each local hour of the day."""
    pv_hour: int | None = None
    pv_hour_wh: float = 0.0
    pv_spread_wh: tuple[float, ...] = (0.0,) * 24
    """How far the hours of a day lie from the profile: smoothed root mean square."""
    curve: ChargeCurve = field(default_factory=ChargeCurve)
    """How the battery charges, by state of charge."""


class Contradiction(NamedTuple):
    """Readings that cannot all be true."""

    code: str
    """Of the reason."""
    since_s: float
    """Real seconds at which they were first seen so."""


class Recharge(NamedTuple):
    """The mean import of the settlement intervals, and whether the battery is being charged again after an event."""

    slot: int = 0
    """The running interval, counted from the epoch."""
    import_wh: float = 0.0
    """In it so far."""
    known_s: float = 0.0
    """Of which the meters told."""
    day: int = 0
    """Days since the epoch."""
    peaks_w: tuple[float, ...] = (0.0,) * 7
    """The highest interval's mean of each of the last seven days, today's first."""
    slow_until: datetime | None = None
    """After an event: until when no interval may rise above these."""
    rest_until: datetime | None = None
    """After an event that was left or cancelled: until when nothing is charged at all."""


@record(frozen=True, slots=True)
class Suspension:
    """Mode 2 for a while, because something was not as it should be."""

    until: datetime
    why: Reason


@record(frozen=True, slots=True)
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
    """Real seconds at which the relay that moves the load was first seen in another state than commanded."""
    contradiction: Contradiction | None = None
    """Readings that cannot all be true, and since when they stand."""
    observer: Observer = field(default_factory=Observer)
    """The state of charge as seen from outside."""
    recharge: Recharge = field(default_factory=Recharge)
    """How high the import has been, and whether it is bounded now."""
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


@record(frozen=True, slots=True)
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
