"""Where a PV forecast comes from, if from anywhere."""

from datetime import timedelta

from pydantic import Field, model_validator

from services.core.config.base import Section
from services.core.config.policy import Duration


class PvForecastSection(Section):
    """A forecast of the panel's energy by the hour; docs/policies.md describes its form. Without one the learnt hours hold."""

    source: str | None = None
    """An `http://` or `https://` address, or a file's path. Unset: none."""
    every: Duration = timedelta(minutes=30)
    """Station time between two looks."""
    timeout_s: float = Field(default=10.0, gt=0, le=60)
    """Real seconds that the source may take to connect, and between two of its words."""
    stale_after: Duration = timedelta(hours=12)
    """A forecast fetched longer ago is no longer used."""

    @model_validator(mode="after")
    def _sensible(self) -> "PvForecastSection":
        if self.every < timedelta(minutes=1):
            raise ValueError("every must be at least one minute")
        if self.stale_after < self.every:
            raise ValueError(f"stale_after ({self.stale_after}) must not lie below every ({self.every})")
        return self
