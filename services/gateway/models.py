"""What the API shows. A null is unknown, never zero and never an old value."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from services.bus.messages.base import Utc
from services.bus.messages.events import PerformanceInterval
from services.core.config.policy import GoalSection
from services.core.events import EventStatus
from services.core.goals import Method
from services.core.preferences import Answer


class Shown(BaseModel):
    """The base of all answers."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class PositionView(Shown):
    """One position, P1 to P4."""

    present: bool
    """Whether the station has it at all."""
    power_w: float | None
    voltage_v: float | None
    age_s: float | None
    """Real seconds since the last reading, whether or not it is still good; null if there was none."""
    has_relay: bool
    """Whether something switches there: a relay, or at P3 the power station's own AC output."""
    relay_on: bool | None
    """Closed (true), open (false), or not known."""
    confirmed_by: Literal["readback", "power"] | None
    fault: str | None


class BatteryView(Shown):
    """The power station."""

    soc_pct: float | None
    low_pct: float | None
    high_pct: float | None
    """The estimate's bounds, while there is one."""
    source: Literal["reading", "estimate"] | None
    """Where `soc_pct` comes from: the station itself, or the controller's estimate while it is silent."""
    ac_output_on: bool | None
    age_s: float | None
    capacity_wh: float
    floor_pct: float
    reserve_pct: float


class ControllerView(Shown):
    """What the controller does, and why."""

    phase: Literal["normal", "upcoming", "ongoing"]
    mode_commanded: int
    mode_confirmed: int | None
    reason: str
    reason_code: str
    goal_w: float | None
    duty: float | None
    event_id: str | None
    next_change: Utc | None


class ServiceView(Shown):
    """How one service is."""

    state: Literal["online", "offline"]
    health: Literal["ok", "degraded"]
    detail: str
    version: str


class Notice(Shown):
    """Something that a service refused or that went wrong."""

    ts: Utc
    service: str
    message: str
    field: str | None
    value: str | None
    remedy: str


class TimeView(Shown):
    """Station time."""

    now: Utc | None
    speed: float
    """Station seconds per real second."""
    simulated: bool


class StateView(Shown):
    """Everything the page shows of the present."""

    station: str
    timezone: str
    connected: bool
    """Whether the gateway hears the bus. While it does not, everything live is unknown."""
    time: TimeView
    controller: ControllerView | None
    positions: dict[str, PositionView]
    load_w: float | None
    """P1 + P3."""
    import_w: float | None
    """P1 + P2."""
    battery: BatteryView
    services: dict[str, ServiceView]
    notices: tuple[Notice, ...]
    """The latest first."""


class EventView(Shown):
    """An event, where it stands, and what it came to."""

    id: str
    revision: int
    start: Utc
    end: Utc
    goal: GoalSection
    methods: tuple[Method, ...]
    priority: int
    status: EventStatus
    status_reason: str
    test: bool
    avoided_wh: float | None
    """Metered: what the battery gave to the load less what the grid gave to the battery."""
    reduction_wh: float | None
    """Baseline less grid import."""
    covered: float | None
    """The share of the event for which readings exist."""
    final: bool
    """Whether these figures will not change any more."""
    answer_by: Utc | None
    """While it is pending: until when the person may answer."""
    unanswered: Answer | None
    """While it is pending: what will hold without an answer."""
    flags: tuple[str, ...]
    """What the settlement should know."""
    intervals: tuple[PerformanceInterval, ...]


class HistoryView(Shown):
    """Means over equal steps of station time; a null is a gap."""

    start: Utc
    end: Utc
    step_s: float
    times: tuple[float, ...]
    """Epoch seconds."""
    series: dict[str, tuple[float | None, ...]]


class Unsure(Shown):
    """A command was sent, but nobody has answered it yet."""

    id: str
    message: str


class HealthView(Shown):
    """How the gateway is."""

    status: Literal["ok", "degraded"]
    bus: bool
    detail: str
    """Why it is degraded; empty otherwise."""
