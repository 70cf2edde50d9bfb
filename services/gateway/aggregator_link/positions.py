"""How far each kind of record has been taken by the aggregator."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.bus.messages.base import Utc
from services.core.consent import ALWAYS

MOST_EVENTS = 1000


class Place(BaseModel):
    """How far one kind has come, under the grant that began at `begins`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    begins: Utc
    cursor: str = ""
    since: dict[str, Utc] | None = None
    """From when on each field was sent; None where that was not kept yet."""

    def at(self, cursor: str) -> "Place":
        """The same, come as far as `cursor`."""
        return self.model_copy(update={"cursor": cursor})

    def holds(self, begins: datetime, since: Mapping[str, datetime]) -> bool:
        """Whether all that may leave of the time before the cursor was sent: no field reaches further back than it did.

        A field that is new reaches back to the choice that let it leave, when nothing later was sent yet; unless its past was included.
        """
        if self.begins != begins:
            return False
        return self.since is None or all(at >= self.since[name] if name in self.since else at != ALWAYS for name, at in since.items())


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
