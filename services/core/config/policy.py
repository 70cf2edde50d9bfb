"""How the station behaves: the daily cycle, the control of events, and the person's preferences."""

from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from services.core.config.base import LocalTime, Percent, Section
from services.core.config.tariff import HoursOfDay, TariffSection, WearSection
from services.core.durations import parse_duration
from services.core.goals import Goal, GoalKind, Method
from services.core.preferences import Answer, Participation, Preferences, SharingLevel
from services.core.sharing_fields import ON_LEVEL

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": ["string", "number"], "description": "ISO 8601 such as PT4H, or a number of hours.", "examples": ["PT4H", 4]}),
]


def _known_fields(switches: dict[str, bool]) -> dict[str, bool]:
    for name in switches:
        if name not in ON_LEVEL:
            raise ValueError(f"{name[:80]!r} is no field that can be shared; known are {', '.join(ON_LEVEL)}")
    return switches


SharingSwitches = Annotated[dict[str, StrictBool], AfterValidator(_known_fields)]


class NormalPolicy(StrEnum):
    """What the station does on days without an event; docs/policies.md has the exact rules."""

    CYCLE = "cycle"
    """Discharge and charge between two set points, at two times of the day."""
    SELF_CONSUMPTION = "self_consumption"
    """Feed the load from what the sun gave; the grid charges nothing but the reserve."""
    TIME_OF_USE = "time_of_use"
    """Charge where the tariff is cheap and discharge where it is dear, if that pays for losses and wear."""
    STANDBY = "standby"
    """Stay charged for an outage."""


class DailyCycle(Section):
    """What the station does on all other days (design section 1, phase normal)."""

    policy: NormalPolicy = NormalPolicy.CYCLE
    discharge_at: LocalTime = time(17, 0)
    """When the battery takes over the load."""
    discharge_to_pct: Percent = 60.0
    """The lower set point; the floor and the backup reserve still hold."""
    charge_at: LocalTime = time(1, 0)
    """When the grid may charge the battery."""
    charge_to_pct: Percent = 90.0
    """The upper set point, lowered by the PV expected until the next discharge."""
    quiet_from: LocalTime | None = None
    """With `quiet_until`: hours in which nothing is charged merely to calibrate or to wake the power station. Unset: none."""
    quiet_until: LocalTime | None = None
    tariff: TariffSection | None = None
    """For `time_of_use`."""
    wear: WearSection | None = None
    """For `time_of_use`; `sps check-config` shows what a cycle costs."""

    @model_validator(mode="after")
    def _ordered(self) -> "DailyCycle":
        if self.discharge_to_pct >= self.charge_to_pct:
            raise ValueError(f"discharge_to_pct ({self.discharge_to_pct}) must lie below charge_to_pct ({self.charge_to_pct})")
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("quiet_from and quiet_until go together: set both, or neither")
        return self


class Control(Section):
    """Event control. The defaults need no tuning."""

    settlement_interval: Duration = timedelta(hours=1)
    """The span over which the programme averages; control acts on its energy error."""
    gain_p: float = Field(default=1.0, ge=0, le=10)
    """Share of the running interval's energy error that the rest of the interval makes up for."""
    gain_i: float = Field(default=0.1, ge=0, le=10)
    """Share of the error carried over from earlier intervals that this interval makes up for. 1 keeps the event's mean closest,
    0 each interval's; errors of an hour are too small for it to matter."""
    switchings_per_event: int = Field(default=40, ge=2, le=1000)
    """The most operations of the relay that moves the load in one event. When they run short a block serves two intervals."""
    charge_margin: float = Field(default=1.25, ge=1, le=5)
    """Charging for an event starts this many times the computed charging time before it, while nothing of the charger
    was measured; the margin shrinks with what was, and grows with its spread."""
    ease_back: Duration = timedelta(minutes=10)
    """After an event the load returns to the grid after a delay of up to this, drawn once per event and station."""
    recharge_after: Duration = timedelta(hours=2)
    """And the grid charges the battery no sooner than this after that: a rebound would undo what the event saved."""
    slow_recharge: bool = True
    """And then no settlement interval's mean import rises above the highest of the week before."""
    adjustment_before: Duration = timedelta(hours=4)
    """The programme adjusts its baseline by the hours that begin this long before an event (Con Edison's: 4 h) …"""
    adjustment_length: Duration = timedelta(hours=2)
    """… and last this long; 0 for a programme that does not adjust. Where it can be avoided nothing is charged in them."""
    stale_after_s: float = Field(default=10.0, gt=0, le=600)
    """Real seconds after which a relay's or position's reading counts as unknown."""
    battery_stale_after_s: float = Field(default=30.0, gt=0, le=7200)
    """Real seconds after which the power station's reading counts as unknown."""


class GoalSection(Section):
    """A goal: `pledge` with `reduction_w`, `limit` with `import_w`, or `minimize`."""

    kind: GoalKind
    reduction_w: float | None = None
    import_w: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> "GoalSection":
        self.goal()
        return self

    def goal(self) -> Goal:
        """The goal in the system's own form."""
        if self.kind is not GoalKind.PLEDGE and self.reduction_w is not None:
            raise ValueError(f"goal '{self.kind}' takes no reduction_w")
        if self.kind is not GoalKind.LIMIT and self.import_w is not None:
            raise ValueError(f"goal '{self.kind}' takes no import_w")
        return Goal(self.kind, self.reduction_w if self.kind is GoalKind.PLEDGE else self.import_w)

    @classmethod
    def of(cls, goal: Goal) -> "GoalSection":
        """The wire and file form of `goal`."""
        return cls(
            kind=goal.kind,
            reduction_w=goal.power_w if goal.kind is GoalKind.PLEDGE else None,
            import_w=goal.power_w if goal.kind is GoalKind.LIMIT else None,
        )


class PreferencesSection(Section):
    """The person's choices, as first shipped; the gateway owns them from then on."""

    goal: GoalSection = GoalSection(kind=GoalKind.MINIMIZE)
    duration: Duration = timedelta(hours=4)
    """Length of an event that does not state its own."""
    methods: tuple[Method, ...] = (Method.REPLACEMENT,)
    participation: Participation = Participation.ALWAYS
    backup_reserve_pct: Percent = 20.0
    sharing: SharingLevel = SharingLevel.NONE
    sharing_fields: SharingSwitches = Field(default_factory=dict)
    """Single fields of the level switched on or off, such as `full.p4_w: false`; docs/sharing.md lists them."""
    answer_before: Duration | None = None
    """With `participation: ask`: how long before an event's start its answer is due."""
    if_unanswered: Answer = Answer.DECLINE
    """With `participation: ask`: what holds when nobody answered in time."""
    max_events_per_week: int | None = Field(default=None, ge=1, le=100)
    """More events of one week, Monday to Sunday, are refused. Unset: any number."""
    quiet_hours: HoursOfDay | None = None
    """Hours in which the grid never charges the battery, such as "22:00-07:00"."""
    no_event_hours: HoursOfDay | None = None
    """Events that reach into these hours are refused."""

    def preferences(self) -> Preferences:
        """The preferences in the system's own form."""
        return Preferences(
            goal=self.goal.goal(),
            duration=self.duration,
            methods=self.methods,
            participation=self.participation,
            backup_reserve_pct=self.backup_reserve_pct,
            sharing=self.sharing,
            sharing_fields=self.sharing_fields,
            answer_before=self.answer_before,
            if_unanswered=self.if_unanswered,
            max_events_per_week=self.max_events_per_week,
            quiet_hours=self.quiet_hours,
            no_event_hours=self.no_event_hours,
        )
