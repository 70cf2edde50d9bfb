"""The JSON messages over MQTT: events in, answers and presence out."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, field_validator, model_validator

from services.bus.messages.base import Command, Telemetry, Utc
from services.bus.uplink.bounds import EventId, KeptRevision, Told, Word
from services.core.config.aggregator import NAME, NETWORK
from services.core.config.policy import Duration, GoalSection
from services.core.events import MAX_DURATION, RESERVED_IDS, EventStatus, only_dots
from services.core.goals import Method
from services.core.sharing import AnswerReason

MAX_EVENT_BYTES = 8_192
"""No event comes near it, signed or not; a larger one is refused unread."""
PROGRAMME = r"^[a-z0-9-]{1,40}$"
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def _no_number(value: object) -> object:
    # pydantic takes a number for seconds since 1970, and so a typing error for a time.
    if not isinstance(value, (str, datetime)):
        raise ValueError('use RFC 3339 with an offset such as "2026-07-01T16:00:00Z"')  # noqa: TRY004 - pydantic
    return value


Moment = Annotated[Utc, BeforeValidator(_no_number)]


class AggregatorEvent(Command):
    """`dr/<network>/event` and `dr/<network>/station/<name>/event`: an event, its amendment, or its end.

    What is left out is the station's own preference. An unknown field is refused, so that no event is half understood.
    """

    v: Literal[1] = 1
    action: Literal["schedule", "cancel"] = "schedule"
    id: EventId
    revision: Annotated[int, Field(ge=0, le=2**31, strict=True)] = 0
    """A higher one amends; a lower or equal one is ignored."""
    start: Moment | None = None
    """Always a time with an offset: `now` would mean something else hours later, when a kept session delivers it."""
    duration: Duration | None = None
    goal: GoalSection | None = None
    methods: Annotated[tuple[Method, ...], Field(min_length=1, max_length=8)] | None = None
    priority: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = 0
    """The lower number wins, as in OpenADR."""
    test: StrictBool = False
    notice: Annotated[str, Field(max_length=500)] = ""
    """Words for the person, shown as text and never as HTML."""
    programme: Annotated[str, Field(pattern=PROGRAMME)] | None = None
    """The programme that calls it, such as `coned-csrp`."""
    network: Annotated[str, Field(pattern=NETWORK)] | None = None
    """For which network it is meant. Required in a signed event: without it a signature could be carried to another network."""
    station: Annotated[str, Field(pattern=NAME)] | None = None
    """For which station it is meant; left out, for all of the network. Required in a signed event to one station."""
    ts: Moment
    """When it was sent."""
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{8,64}$")] | None = None
    """New for each message; the same when a message is sent again. Required in a signed event."""

    @field_validator("id")
    @classmethod
    def _an_event(cls, event_id: str) -> str:
        if event_id in RESERVED_IDS:
            raise ValueError("this word is a topic of its own; choose another id")
        if only_dots(event_id):
            raise ValueError("dots alone are no address of a page; choose another id")
        return event_id

    @field_validator("duration")
    @classmethod
    def _not_endless(cls, duration: timedelta | None) -> timedelta | None:
        if duration is not None and not timedelta(0) < duration <= MAX_DURATION:
            raise ValueError('use more than zero and at most 24 h, such as "PT4H" or 4')
        return duration

    @field_validator("notice")
    @classmethod
    def _readable(cls, notice: str) -> str:
        if _HIDDEN.search(notice):
            raise ValueError("it holds control characters; send plain text on one line")
        return notice

    @model_validator(mode="after")
    def _starts(self) -> "AggregatorEvent":
        if self.action == "schedule" and self.start is None:
            raise ValueError('an event needs a start, such as "2026-07-01T16:00:00Z"')
        return self


class Answer(Telemetry):
    """`station/<name>/answer`: what became of an event, sent again at every change the person shares."""

    v: Literal[1] = 1
    ts: Told
    """When it was so, in station time."""
    id: EventId
    revision: KeptRevision
    status: EventStatus
    """Any open status says that the event is accepted; `pending` that a person is being asked."""
    reason: AnswerReason = AnswerReason.NONE
    field: Word | None = None
    """With `bad_message`: which field of the event."""

    @property
    def accepted(self) -> bool:
        """Whether the station takes part."""
        return self.status in (EventStatus.SCHEDULED, EventStatus.UPCOMING, EventStatus.ONGOING, EventStatus.COMPLETED)


class Online(Telemetry):
    """`station/<name>/online`: retained; the last will says false."""

    v: Literal[1] = 1
    ts: Told
    """When it was so, in station time."""
    online: bool
