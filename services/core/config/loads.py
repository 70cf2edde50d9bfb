"""Deferrable loads, each behind a relay of its own, and what must never be without power by our doing."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from services.core.config.hardware import RelayDevice
from services.core.config.policy import Duration
from services.core.positions import Position


def _no_position(name: str) -> str:
    if name in set(Position):
        raise ValueError(f"'{name}' is a position of the station; give the load a name of its own")
    return name


LoadName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$"), AfterValidator(_no_position)]
Appliance = Annotated[str, Field(min_length=1, max_length=64)]


class DeferrableLoad(RelayDevice):
    """A load that an event may put off, such as a washer or a water heater. Its relay is closed unless an event holds it open."""

    longest_off: Duration = Field(default=timedelta(hours=4), gt=timedelta(0), le=timedelta(hours=24))
    """Never held off longer than this in one event; then it gets its power back, event or not."""
    off_within: Duration = Field(default=timedelta(minutes=5), ge=timedelta(0), le=timedelta(hours=1))
    """Switched off at a moment of its own within this span before the event, so that loads of many houses do not act in step."""
    resume_within: Duration = Field(default=timedelta(minutes=15), ge=timedelta(0), le=timedelta(hours=4))
    """Likewise switched on again within this span after the event."""
    simulated_w: float = Field(default=600.0, ge=0, le=20_000)
    """Only in a simulation: what it draws while it is switched on."""
