"""Whether a device answers, since when it does not, and when to ask it again."""

import random
from datetime import datetime

from services.relay_bridge.errors import DeviceError, DeviceSilent

LONGEST_WAIT_S = 10.0
_LOST_AFTER = 2
"""Failed polls in a row until the state counts as unknown: one lost packet is no reason to end an event."""


class Contact:
    """The state of the line to one device."""

    def __init__(self, jitter: random.Random) -> None:
        self._jitter = jitter
        self._failures = 0
        self._lost = False
        self._since: datetime | None = None
        self._silent = True

    @property
    def lost(self) -> bool:
        """Whether the device's state counts as unknown."""
        return self._lost

    def answered(self) -> bool:
        """Note an answer; True when it ends a loss."""
        recovered = self._lost
        self._failures, self._lost, self._since = 0, False, None
        return recovered

    def failed(self, error: DeviceError, now: datetime | None, *, unknown: bool = False) -> None:
        """Note a failure at `now` (station time, None while that is unknown). `unknown`: the state is so from this one on."""
        self._failures += 1
        self._since = self._since or now
        self._silent = isinstance(error, DeviceSilent)
        self._lost = self._lost or unknown or self._failures >= _LOST_AFTER

    def wait_s(self, poll_s: float) -> float:
        """Real seconds until the next poll: doubling with each failure, and never in step with other clients."""
        if self._failures < _LOST_AFTER:
            return poll_s
        doubled = poll_s * 2.0 ** min(self._failures - 1, 10)
        return max(poll_s, min(LONGEST_WAIT_S, doubled) * self._jitter.uniform(0.5, 1.0))

    @property
    def fault(self) -> str | None:
        """The loss in words."""
        if not self._lost:
            return None
        what = "not answering" if self._silent else "not answering usably"
        return f"{what} since {self._since:%Y-%m-%dT%H:%M:%SZ}" if self._since else what
