"""What all messages share."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC it lies beyond the calendar; use a time of this century") from None


def _rfc3339(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Utc = Annotated[AwareDatetime, AfterValidator(_utc), PlainSerializer(_rfc3339, return_type=str, when_used="json")]
"""An aware UTC time; RFC 3339 with milliseconds on the wire."""

Percent = Annotated[float, Field(ge=0, le=100)]


class Payload(BaseModel):
    """A message body. Infinities and NaN are refused; readers ignore fields they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)


class Telemetry(Payload):
    """What a service tells: stamped with station time."""

    ts: Utc
    """When it was so, in station time."""


class Command(Payload):
    """What somebody asks for: an unknown field is refused, so that a typing error is never half obeyed."""

    model_config = ConfigDict(extra="forbid")
