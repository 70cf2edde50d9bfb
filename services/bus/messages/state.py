"""The state of the services: the controller's decision, preferences, clock, health and errors."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator

from services.bus.messages.base import Command, Percent, Telemetry, Utc
from services.core.config.policy import Duration, GoalSection
from services.core.config.tariff import HoursOfDay
from services.core.goals import Method
from services.core.preferences import Answer, Participation, Preferences, SharingLevel


class ControllerState(Telemetry):
    """`controller/state`: what the controller does, and why."""

    phase: Literal["normal", "upcoming", "ongoing"]
    mode_commanded: Annotated[int, Field(ge=0, le=5)]
    mode_confirmed: Annotated[int, Field(ge=0, le=5)] | None
    """What the relays' read-backs make; null while unknown or between modes."""
    reason: str
    """For a person."""
    reason_code: str
    """For a program; stable."""
    goal_w: float | None = None
    """The reduction asked of the battery now."""
    duty: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the interval's remainder that the battery is to carry."""
    event_id: str | None = None
    next_change: Utc | None = None
    """When the next change is expected, if nothing else happens."""
    methods: tuple[Method, ...] = ()
    """The event's methods that act now."""
    instance: Annotated[str, Field(max_length=64)] | None = None
    """Which controller process says so: two of one station must not both be in charge."""
    in_charge_since: Utc | None = None
    """Since when it commands the relays; of two, the later one stands back."""


class Override(Command):
    """`controller/override`: a manual mode with an end, or `{"release": true}`."""

    mode: Annotated[int, Field(ge=0, le=5, strict=True)] | None = None
    duration: Duration = timedelta(hours=1)
    release: StrictBool = False
    command_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Tells this wish from an earlier one in the same words: without it they are one within a minute."""

    @model_validator(mode="after")
    def _one_wish(self) -> "Override":
        if (self.mode is None) != self.release:
            raise ValueError('give either a mode, such as {"mode":2,"duration":"PT1H"}, or {"release":true}')
        return self


class Committed(Telemetry):
    """`recorder/committed`: every reading up to `until` is on disk."""

    until: Utc


class PreferencesMessage(Telemetry):
    """`preferences`: what the person chose."""

    goal: GoalSection
    duration: Duration
    methods: tuple[Method, ...]
    participation: Participation
    backup_reserve_pct: Percent
    sharing: SharingLevel
    answer_before: Duration | None = None
    """With participation `ask`: how long before an event's start its answer is due."""
    if_unanswered: Answer = Answer.DECLINE
    """With participation `ask`: what holds without an answer."""
    max_events_per_week: Annotated[int, Field(ge=1, le=100)] | None = None
    quiet_hours: HoursOfDay | None = None
    """Hours in which the grid never charges the battery."""
    no_event_hours: HoursOfDay | None = None
    """Hours into which no event may reach."""

    def preferences(self) -> Preferences:
        """The preferences in the system's own form."""
        return Preferences(
            goal=self.goal.goal(),
            duration=self.duration,
            methods=self.methods,
            participation=self.participation,
            backup_reserve_pct=self.backup_reserve_pct,
            sharing=self.sharing,
            answer_before=self.answer_before,
            if_unanswered=self.if_unanswered,
            max_events_per_week=self.max_events_per_week,
            quiet_hours=self.quiet_hours,
            no_event_hours=self.no_event_hours,
        )

    @classmethod
    def of(cls, preferences: Preferences, ts: Utc) -> "PreferencesMessage":
        """The wire form of `preferences`."""
        return cls(
            ts=ts,
            goal=GoalSection.of(preferences.goal),
            duration=preferences.duration,
            methods=preferences.methods,
            participation=preferences.participation,
            backup_reserve_pct=preferences.backup_reserve_pct,
            sharing=preferences.sharing,
            answer_before=preferences.answer_before,
            if_unanswered=preferences.if_unanswered,
            max_events_per_week=preferences.max_events_per_week,
            quiet_hours=preferences.quiet_hours,
            no_event_hours=preferences.no_event_hours,
        )


class ClockMessage(Telemetry):
    """`clock`: how station time runs in a simulation. Station time = epoch_station + speed x (wall - epoch_wall)."""

    epoch_wall: Utc
    epoch_station: Utc
    speed: Annotated[float, Field(ge=1, le=3600)]


class ServiceStatus(Telemetry):
    """`service/<name>/status`: retained, and the last will."""

    state: Literal["online", "offline"]
    version: str
    since: Utc
    health: Literal["ok", "degraded"] = "ok"
    detail: str = ""
    """What is degraded, in words."""


class ServiceVitals(Telemetry):
    """`service/<name>/vitals`: how the service's process fares, about once a minute; not retained."""

    rss_bytes: Annotated[int, Field(ge=0)] | None = None
    """Its memory in RAM. Services that share a process, as under `make run`, each tell the whole of it."""


class ServiceError(Telemetry):
    """`service/<name>/error`: what was refused or went wrong, and what would be right."""

    topic: str | None = None
    """Where the refused message came from."""
    field: str | None = None
    value: str | None = None
    """As received, shortened."""
    message: str
    remedy: str = ""
    suppressed: int = 0
    """How many alike were not published since the last, by the rate limit."""
