"""Under which programme a station's events are settled."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from services.core.config.base import Section
from services.core.programme import Programme


class Enrolment(Section):
    """A programme, and what was pledged to it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "recent-days"
    """A file `<name>.yaml` in `programmes/` beside the station file, or a shipped one."""
    pledge_w: float | None = Field(default=None, ge=0, le=100_000)
    """The watts pledged for the season; left out, each event's own pledge counts."""
    rules: Programme | None = None
    """What that file says; filled in when the station file is loaded."""


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


Programmed = Annotated[Enrolment, BeforeValidator(_named)]
"""`programme: coned-csrp`, or `programme: {name: coned-csrp, pledge_w: 200}`."""
