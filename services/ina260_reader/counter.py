"""The running energy of a sensor that has no counter of its own."""

from datetime import datetime

from services.core.energy import PowerSeries, integrate


class EnergyCounter:
    """Signed watt-hours since the start, by core's own rule: a gap in the readings adds nothing. It begins at zero with each start."""

    def __init__(self) -> None:
        self.energy_wh = 0.0
        self._last: tuple[float, float] | None = None

    def add(self, at: datetime, power_w: float, *, max_gap_s: float) -> float:
        """Count up to a reading; returns the watt-hours. Two readings further apart than `max_gap_s` station seconds are not bridged."""
        now = (at.timestamp(), power_w)
        if self._last is not None and self._last[0] < now[0]:
            part = integrate(PowerSeries.of((self._last, now)), self._last[0], now[0], max_gap_s=max_gap_s)
            self.energy_wh += part.energy_wh or 0.0
        self._last = now
        return self.energy_wh
