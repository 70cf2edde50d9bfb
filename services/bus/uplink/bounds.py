"""What a field may hold that a station sends: nothing that a database cannot keep, or a sum cannot bear."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from services.bus.messages.base import Utc
from services.core.events import ID_PATTERN
from services.core.sharing_values import LIMIT

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""There a clock stands that was never set."""
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _believable(moment: datetime) -> datetime:
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError("use a time from 1970 to 2199")
    return moment


Told = Annotated[Utc, AfterValidator(_believable)]
"""A time that a station tells."""
EventId = Annotated[str, Field(pattern=f"^{ID_PATTERN.pattern}$")]
KeptRevision = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""No more than every database's integer holds."""
Figure = Annotated[float, Field(ge=-LIMIT, le=LIMIT)]
"""Watts, watt hours or volts, so that no sum of them overflows."""
Word = Annotated[str, Field(max_length=40, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""A short name, without control characters."""
