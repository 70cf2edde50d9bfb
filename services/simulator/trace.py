"""What the load of the simulated house wants: the shared one-minute household trace, tiled over all time."""

import gzip
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from services.core.config.station import Station

_FILE = "data/sceaux_21_days.csv.gz"


@cache
def _weeks() -> tuple[int, tuple[tuple[int, ...], ...]]:
    """The ordinal of the first day, a Monday, and per day the watts by minute: whole weeks."""
    text = gzip.decompress(files("services.simulator").joinpath(_FILE).read_bytes()).decode()
    lines = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    days = tuple(tuple(map(int, watts)) for _, *watts in lines)
    return date.fromisoformat(lines[0][0]).toordinal(), days


@dataclass(frozen=True, slots=True)
class LoadTrace:
    """The trace times `scale`, by local time of day and day of the week; constant within a minute."""

    zone: ZoneInfo
    scale: float

    @classmethod
    def of(cls, station: Station) -> "LoadTrace":
        """The load of the simulated `station`."""
        return cls(station.zone, station.simulation.load_scale)

    def load_w(self, at: datetime) -> float:
        """The power wanted at the station time `at` (aware)."""
        first, days = _weeks()
        local = at.astimezone(self.zone)
        return days[(local.toordinal() - first) % len(days)][local.hour * 60 + local.minute] * self.scale
