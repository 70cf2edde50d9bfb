"""Events: what people and aggregators send, and what the controller and the recorder answer."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from services.bus.messages.base import Command, Payload, Telemetry, Utc
from services.core.config.policy import Duration, GoalSection
from services.core.events import Event, EventRequest, EventStatus
from services.core.goals import Method
from services.core.preferences import Answer


def _start(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('use "now", a local time such as "16:00", or RFC 3339 such as "2026-07-01T16:00:00Z"')  # noqa: TRY004 - pydantic
    return value


Start = Annotated[str, BeforeValidator(_start), Field(min_length=1, max_length=64)]


class EventCommand(Command):
    """`event/command`: typed by people and sent by the gateway, so it carries no `ts`."""

    action: Literal["schedule", "cancel", "opt_out", "opt_in", "accept", "decline"] = "schedule"
    id: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(default=None, validate_default=True)
    revision: Annotated[int, Field(ge=0, le=2**31, strict=True)] = 0
    start: Start | None = Field(default=None, validate_default=True)
    duration: Duration | None = None
    goal: GoalSection | None = None
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] | None = None
    priority: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = 0
    test: Annotated[bool, Field(strict=True)] = False

    @field_validator("start")
    @classmethod
    def _start_of_a_schedule(cls, start: str | None, info: ValidationInfo) -> str | None:
        if start is None and info.data.get("action") == "schedule":
            raise ValueError('an event needs a start, such as {"start":"now"}')
        return start

    @field_validator("id")
    @classmethod
    def _id_of_an_event(cls, event_id: str | None, info: ValidationInfo) -> str | None:
        if event_id is None and (action := info.data.get("action", "schedule")) != "schedule":
            raise ValueError(f"action '{action}' needs the id of an event")
        return event_id

    def request(self) -> EventRequest:
        """The schedule command in the system's own form."""
        if self.start is None:
            raise ValueError("only a schedule command is a request")
        return EventRequest(
            start=self.start,
            id=self.id,
            revision=self.revision,
            duration=self.duration,
            goal=self.goal.goal() if self.goal else None,
            methods=self.methods,
            priority=self.priority,
            test=self.test,
        )


class EventMessage(Telemetry):
    """`event/<id>`: the normalised event and where it stands."""

    id: str
    revision: int
    start: Utc
    end: Utc
    goal: GoalSection
    methods: tuple[Method, ...]
    priority: int
    status: EventStatus
    status_reason: str = ""
    test: bool = False
    answer_by: Utc | None = None
    """While `pending`: when the person's answer is due."""
    unanswered: Answer | None = None
    """While `pending`: what will hold without an answer."""
    flags: tuple[str, ...] = ()
    """What the settlement should know: `charged_in_adjustment_window` says that the baseline's adjustment came out too high."""

    @classmethod
    def of(cls, event: Event, ts: Utc) -> "EventMessage":
        """The wire form of `event`."""
        return cls(
            ts=ts,
            id=event.id,
            revision=event.revision,
            start=event.start,
            end=event.end,
            goal=GoalSection.of(event.goal),
            methods=event.methods,
            priority=event.priority,
            status=event.status,
            status_reason=event.status_reason,
            test=event.test,
            answer_by=event.answer_by,
            unanswered=event.unanswered,
            flags=event.flags,
        )


class BaselineInterval(Payload):
    """The baseline of one settlement interval. A null figure is unknown."""

    start: Utc
    end: Utc
    import_wh: float | None
    """Estimated grid import P1 + P2, had there been no event."""
    load_wh: float | None
    """Estimated load P1 + P3: the low-bias estimate, or the mean of the baseline's days while there is none."""
    load_low_wh: float | None = None
    load_high_wh: float | None = None
    """Between these the load would lie nine times in ten."""


class RefusedDay(Payload):
    """A day that the baseline looked at and did not take."""

    day: str
    """Its local date."""
    reason: str


class EventBaseline(Telemetry):
    """`event/<id>/baseline`."""

    event_id: str
    method: str
    """The baseline method's name."""
    days: tuple[str, ...]
    """The local dates that it rests on."""
    refused: tuple[RefusedDay, ...] = ()
    """The days it did not take, and why."""
    note: str = ""
    """Why there is no baseline, or what is special about it."""
    intervals: tuple[BaselineInterval, ...]
    programme: str = ""
    """The programme by whose rule the import was reckoned."""
    recall: tuple[str, ...] = ()
    """Fields of that programme's file that stand from memory, not from its text."""
    factor: float | None = None
    """What the import was multiplied by after the day's own hours before the event."""
    offset_w: float | None = None
    """What was added to it."""
    frozen: bool = False
    """The event has begun: this is what it is settled against."""
    load_method: str = ""
    """How the load was estimated; empty while there is no low-bias estimate."""
    load_trials: int = 0
    """On how many of the home's own days that method was validated."""
    load_error: float | None = None
    """Its relative error on them."""
    load_total_wh: float | None = None
    load_total_low_wh: float | None = None
    load_total_high_wh: float | None = None
    """The whole event's load, and between what it would lie nine times in ten: narrower than the sum of the intervals'."""


class PerformanceInterval(Payload):
    """What one settlement interval of an event came to. A null figure is unknown."""

    start: Utc
    end: Utc
    baseline_wh: float | None
    import_wh: float | None
    """P1 + P2."""
    avoided_wh: float | None
    """Metered: P3 - P2, signed."""
    pv_wh: float | None
    """P4, shown apart."""
    reduction_wh: float | None
    """Baseline minus import."""
    covered: Annotated[float, Field(ge=0, le=1)]
    """Share of the interval for which readings exist."""
    load_estimate_wh: float | None = None
    """The low-bias estimate of the load P1 + P3."""
    load_low_wh: float | None = None
    load_high_wh: float | None = None


class EventPerformance(Telemetry):
    """`event/<id>/performance`: so far while the event runs, final once it is over."""

    event_id: str
    final: bool
    intervals: tuple[PerformanceInterval, ...]
    avoided_wh: float | None
    reduction_wh: float | None
    covered: Annotated[float, Field(ge=0, le=1)]
    estimate_reduction_wh: float | None = None
    """The low-bias estimate of the load, less the import: an honest figure beside the programme's."""
    estimate_low_wh: float | None = None
    estimate_high_wh: float | None = None
    """Between these it lies nine times in ten; once the event is over."""
    pv_wh: float | None = None
    given_wh: float | None = None
    """P3: what the battery gave, for its wear."""
    pledge_w: float | None = None
    performance_factor: float | None = None
    """By the programme's rule; null without a pledge or without a baseline."""
    payment: float | None = None
    """Performance payment, notional: a plug is not the utility's meter. The reservation is paid by the month."""
    currency: str | None = None
    notes: tuple[str, ...] = ()
    """What is unusual, such as an event outside of the programme's season."""
    revision: int = 0
    """Counts how often the final figures were revised because readings came late."""
    changed: tuple[str, ...] = ()
    """What the last revision changed."""
