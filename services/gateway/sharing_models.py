"""What the API shows of sharing."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.bus.messages.base import Utc
from services.core.config.policy import PreferencesSection, SharingSwitches
from services.core.preferences import SharingLevel
from services.gateway.models import Shown


class FieldView(Shown):
    """One field that can be shared."""

    name: str
    kind: Literal["answers", "event", "hourly", "full"]
    """From which level on it is shared: `answers` from `none` on."""
    on: bool
    """Whether it leaves now: the level holds it, and it is not switched off."""
    default_on: bool
    meaning: str


class SignalsView(Shown):
    """The connection over which events come."""

    state: Literal["off", "connected", "waiting"]
    detail: str
    since: Utc | None


class UploadView(Shown):
    """How the upload stands."""

    state: str
    """`off`, `idle`, `sending` or `waiting`."""
    detail: str
    last_sent: Utc | None
    pending_rows: int | None
    """Records under way; null while more wait than have been counted."""
    until: Utc | None = None
    """Up to when the aggregator has what is shared."""


class LinkView(Shown):
    """The link to the aggregator."""

    network: str | None
    """Null without an aggregator."""
    mqtt: SignalsView
    upload: UploadView


class NoteView(Shown):
    """What came of one message of the aggregator's, the latest first."""

    ts: Utc
    event_id: str
    outcome: str
    message: str
    notice: str
    """The aggregator's own words: text, never HTML."""
    signed_by: str | None


class SharingView(Shown):
    """What is shared, and with whom."""

    level: SharingLevel
    fields: tuple[FieldView, ...]
    link: LinkView
    received: tuple[NoteView, ...] = ()


class ExampleRequest(BaseModel):
    """A choice to be tried out."""

    model_config = ConfigDict(extra="forbid")

    level: SharingLevel
    fields: SharingSwitches = Field(default_factory=dict)


class ExampleRecord(Shown):
    """A record as it would be sent."""

    kind: str
    record: dict[str, Any]


class ExampleView(Shown):
    """What would be sent now."""

    records: tuple[ExampleRecord, ...]
    none_because: str | None = None
    """Why there is nothing, or not everything, to show."""


class SentView(Shown):
    """One thing that left this house, or may have."""

    ts: Utc
    to: str
    route: Literal["http", "mqtt"]
    kind: str
    records: int
    bytes: int
    outcome: str
    attempts: int
    body: str
    """As it was sent, unpacked."""


class SentPage(Shown):
    """Some of what left, the latest first."""

    sent: tuple[SentView, ...]
    next: str | None
    """For `before`, to go on; null at the end."""


class Forgotten(Shown):
    """What became of a deletion request."""

    outcome: str
    detail: str


class PreferencesChange(PreferencesSection):
    """Some of the preferences, and whether what is shared from now on is shared with its past."""

    share_past: bool = False
