"""How far each kind of record has been taken by the aggregator."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.bus.messages.base import Utc

MOST_EVENTS = 1000


class Place(BaseModel):
    """How far one kind has come, under the grant that began at `begins`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    begins: Utc
    cursor: str = ""


class Positions(BaseModel):
    """All of them. Moved on only when the aggregator has said that it has the records."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    full: Place | None = None
    hourly: Place | None = None
    events: dict[str, str] = Field(default_factory=dict)
    """Of each event, a digest of what was taken last."""
    registered: str = ""

    def text(self) -> str:
        """As it is kept."""
        events = dict(list(self.events.items())[-MOST_EVENTS:])
        return self.model_copy(update={"events": events}).model_dump_json()

    @classmethod
    def read(cls, text: str | None) -> "Positions":
        """From what was kept; what makes no sense counts as none: what was sent is sent again, and taken for one."""
        try:
            return cls() if text is None else cls.model_validate_json(text)
        except ValidationError:
            return cls()
