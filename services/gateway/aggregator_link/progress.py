"""What both kinds of upload must know of events, and how they say where they stand."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Followed(Protocol):
    """What an uploader must know of events."""

    def ids(self) -> Collection[tuple[str, datetime | None]]:
        """The aggregator's events and their starts."""
        ...

    def stamp(self, event_id: str) -> str:
        """Changes whenever the figures of the event may have."""
        ...


@dataclass
class Progress:
    """How the upload stands, for the page."""

    state: str = "waiting"
    """`off`, `idle`, `sending` or `waiting`."""
    detail: str = "it has just begun"
    pending: int = 0
    more: bool = False
    """Whether more waits than `pending`."""
    until: datetime | None = None
    """Up to when the aggregator has the readings."""
