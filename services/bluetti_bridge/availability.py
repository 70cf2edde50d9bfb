"""What is known of the way to the power station, from one attempt to the next. Pure, but for its own memory."""

from datetime import datetime

from services.bus.messages.devices import BatteryLink

_RENEW_S = 60.0


class Availability:
    """Times are real and monotonic, in seconds, but for what is published."""

    def __init__(self, device: str, silent_after_s: float, now: float) -> None:
        self._device = device
        self._silent_after_s = silent_after_s
        self._heard_at = now
        self._available = False
        self._rssi_dbm: float | None = None
        self._last_failure: str | None = None
        self._last_failure_at: datetime | None = None
        self._told: tuple[object, ...] | None = None
        self._told_at = now
        self.failures = 0
        """In a row."""

    def answered(self, now: float, rssi_dbm: float | None) -> None:
        """An attempt succeeded."""
        self._heard_at, self._available, self._rssi_dbm, self.failures = now, True, rssi_dbm, 0

    def failed(self, reason: str, at: datetime | None) -> None:
        """An attempt failed; `at` is None while station time is unknown."""
        self._available, self._last_failure, self._last_failure_at = False, reason, at
        self.failures += 1

    def silent(self, now: float) -> bool:
        """Whether it is time to say that it is silent."""
        return now - self._heard_at >= self._silent_after_s

    @property
    def silent_at(self) -> float:
        """When it will be, if nothing is heard until then."""
        return self._heard_at + self._silent_after_s

    def message(self, now: float, ts: datetime) -> BatteryLink | None:
        """What is to be published: changes at once, and else once a minute."""
        silent = self.silent(now)
        state = (self._available, silent, self._last_failure)
        if state == self._told and now - self._told_at < _RENEW_S:
            return None
        self._told, self._told_at = state, now
        return BatteryLink(
            ts=ts,
            available=self._available,
            silent=silent,
            silent_s=now - self._heard_at,
            failures=self.failures,
            last_failure=self._last_failure,
            last_failure_at=self._last_failure_at,
            rssi_dbm=self._rssi_dbm,
            device=self._device,
        )
