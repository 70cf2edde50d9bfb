"""The HTTP side: what a station uploads, and what it is answered. Null, or a field left out, is unknown or not shared, never zero."""

import hashlib
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from services.bus.messages.base import Payload, Percent
from services.bus.uplink.bounds import EventId, Figure, Told, Word
from services.core.config.aggregator import NETWORK
from services.core.config.policy import GoalSection
from services.core.events import EventStatus
from services.core.goals import Method

Kind = Literal["event", "hourly", "full"]
"""Which level of sharing a batch belongs to."""
KINDS: tuple[Kind, ...] = ("event", "hourly", "full")
MAX_RECORDS = 5_000
MAX_INTERVALS = 1_500
"""A day of minutes, and some."""
MAX_BODY_BYTES = 8_000_000
"""After unpacking."""
Counted = Annotated[int, Field(ge=0, le=2**31)]
KEY = r"^[A-Za-z0-9._-]{8,128}$"
VERSION_PATH = "/v1"


class EventInterval(Payload):
    """One settlement interval of an event."""

    start: Told
    end: Told
    baseline_wh: Figure | None = None
    reduction_wh: Figure | None = None
    """Baseline less grid import."""
    avoided_wh: Figure | None = None
    """Metered: what the battery gave to the load less what the grid gave to it."""
    covered: Annotated[float, Field(ge=0, le=1)] | None = None


class EventRecord(Payload):
    """Level `event`: what one event came to. Sent again with a higher `figures_revision` when late readings change it."""

    id: EventId
    revision: Counted
    start: Told
    end: Told
    status: EventStatus | None = None
    test: bool | None = None
    goal: GoalSection | None = None
    methods: Annotated[tuple[Method, ...], Field(max_length=8)] | None = None
    baseline_method: Word | None = None
    intervals: Annotated[tuple[EventInterval, ...], Field(max_length=MAX_INTERVALS)] = ()
    baseline_wh: Figure | None = None
    reduction_wh: Figure | None = None
    avoided_wh: Figure | None = None
    pledge_w: Figure | None = None
    performance_factor: Figure | None = None
    covered: Annotated[float, Field(ge=0, le=1)] | None = None
    final: bool = False
    figures_revision: Counted = 0


class HourRecord(Payload):
    """Level `hourly`: the energy of one UTC hour at each position, and the state of charge at its end."""

    start: Told
    p1_wh: Figure | None = None
    p2_wh: Figure | None = None
    p3_wh: Figure | None = None
    p4_wh: Figure | None = None
    soc_pct: Percent | None = None
    covered: Annotated[float, Field(ge=0, le=1)] | None = None


class FullRecord(Payload):
    """Level `full`: one row of readings as the recorder keeps it. The same `ts` may come again, more complete: take it for one."""

    ts: Told
    p1_w: Figure | None = None
    p2_w: Figure | None = None
    p3_w: Figure | None = None
    p4_w: Figure | None = None
    p1_v: Figure | None = None
    p2_v: Figure | None = None
    p3_v: Figure | None = None
    p4_v: Figure | None = None
    p1_wh: Figure | None = None
    p2_wh: Figure | None = None
    p3_wh: Figure | None = None
    p4_wh: Figure | None = None
    """The devices' running counters."""
    soc_pct: Figure | None = None
    estimate_pct: Figure | None = None
    ac_in_w: Figure | None = None
    ac_out_w: Figure | None = None
    dc_in_w: Figure | None = None
    dc_out_w: Figure | None = None
    ac_output_on: Figure | None = None
    eco_mode: Figure | None = None


class _Batch(Payload):
    model_config = ConfigDict(extra="forbid")

    v: Literal[1] = 1
    network: Annotated[str, Field(pattern=NETWORK)]
    cursor: Annotated[str, Field(max_length=128)]
    """How far the station's records go with this batch; opaque."""


class EventBatch(_Batch):
    """Records of level `event`."""

    kind: Literal["event"]
    records: Annotated[tuple[EventRecord, ...], Field(max_length=MAX_RECORDS)]


class HourBatch(_Batch):
    """Records of level `hourly`."""

    kind: Literal["hourly"]
    records: Annotated[tuple[HourRecord, ...], Field(max_length=MAX_RECORDS)]


class FullBatch(_Batch):
    """Records of level `full`."""

    kind: Literal["full"]
    records: Annotated[tuple[FullRecord, ...], Field(max_length=MAX_RECORDS)]


Batch = Annotated[EventBatch | HourBatch | FullBatch, Field(discriminator="kind")]
"""`POST <base>/v1/stations/<name>/batches`."""


class BatchAccepted(Payload):
    """The answer 200 to a batch: it is on disk at the aggregator."""

    accepted: Annotated[int, Field(ge=0)]
    duplicate: bool = False
    """The idempotency key was seen before, and nothing was stored again."""


class Registration(Payload):
    """`PUT <base>/v1/stations/<name>`: what the station can do. Only what its person shares."""

    model_config = ConfigDict(extra="forbid")

    v: Literal[1] = 1
    network: Annotated[str, Field(pattern=NETWORK)]
    level: Literal["event", "hourly", "full"]
    """Up to which level the person shares."""
    capacity_wh: Figure | None = None
    power_w: Figure | None = None
    """The inverter's rating."""
    pledge_w: Figure | None = None
    programme: Word | None = None


class Refusal(Payload):
    """The body of an answer 4xx."""

    message: str
    field: str | None = None


def stations_path(name: str) -> str:
    """Below the aggregator's base URL: where a station registers."""
    return f"{VERSION_PATH}/stations/{name}"


def batches_path(name: str) -> str:
    """Where its batches go."""
    return f"{stations_path(name)}/batches"


def data_path(name: str) -> str:
    """What is deleted at its person's request."""
    return f"{stations_path(name)}/data"


def idempotency_key(name: str, kind: Kind, first: str, last: str, epoch: int, body: bytes) -> str:
    """The same for the same batch, whenever and however often it is made; another for any other content."""
    text = "\n".join((name, kind, first, last, str(epoch), hashlib.sha256(body).hexdigest()))
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def plain(record: Payload) -> dict[str, Any]:
    """A record as it goes over the wire: unknown fields left out."""
    return record.model_dump(mode="json", exclude_none=True)
