"""A synthetic panel: no measured data, but a plausible day, the same at every run.

Half a sine between sunrise and sunset at a latitude of about 48 degrees, weaker in winter, times one cloud factor a day.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from zoneinfo import ZoneInfo

from services.core.config.station import Station

_SPRING_EQUINOX = 80
"""Day of the year."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of `peak_w` at noon of a cloudless midsummer day."""

    zone: ZoneInfo
    peak_w: float

    @classmethod
    def of(cls, station: Station) -> "Panel":
        """The panel of the simulated `station`: none unless the configuration has a P4."""
        return cls(station.zone, station.simulation.pv_peak_w if station.positions.p4 is not None else 0.0)

    def pv_w(self, at: datetime) -> float:
        """What it could give at the station time `at` (aware)."""
        local = at.astimezone(self.zone)
        standard = local - (local.dst() or timedelta(0))
        hour = standard.hour + standard.minute / 60.0 + standard.second / 3600.0
        day_length_h, share = _day(standard.date())
        since_sunrise = (hour - 12.0) / day_length_h + 0.5
        return self.peak_w * share * math.sin(math.pi * since_sunrise) if 0.0 < since_sunrise < 1.0 else 0.0


@lru_cache(maxsize=64)
def _day(day: date) -> tuple[float, float]:
    """Hours from sunrise to sunset, and the share of `peak_w` at noon."""
    season = math.sin(2.0 * math.pi * (day.timetuple().tm_yday - _SPRING_EQUINOX) / 365.0)
    clouds = blake2b(day.isoformat().encode(), digest_size=1).digest()[0] / 255.0
    # The square root makes fair days more frequent than dark ones.
    return 12.0 + 4.0 * season, (0.65 + 0.35 * season) * (0.15 + 0.85 * math.sqrt(clouds))
