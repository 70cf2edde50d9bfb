"""How far each kind of record has been taken by the aggregator, on disk."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.bus.messages.base import Utc
from services.bus.state_file import read_state, write_atomic

FILE = "uplink.json"
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


def load(folder: Path) -> Positions:
    """What was kept in `folder`; a damaged file counts as none: what was sent is sent again, and taken for one. Raises OSError."""
    data = read_state(folder / FILE)
    try:
        return Positions() if data is None else Positions.model_validate_json(data)
    except ValidationError:
        return Positions()


def save(folder: Path, positions: Positions) -> None:
    """Keep `positions`. Raises OSError."""
    events = dict(list(positions.events.items())[-MOST_EVENTS:])
    write_atomic(folder / FILE, positions.model_copy(update={"events": events}).model_dump_json().encode())
