"""What waits to be sent while there is no connection, or until the broker has acknowledged it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

COMMAND_LIFE_S = 60.0
"""Real seconds after which a command that could not be sent is dropped: nothing queued may fire hours late."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to be published."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    expires_at: float | None = None
    """When it is no longer worth sending (`clock.monotonic()`); None is never."""


@dataclass(frozen=True, slots=True)
class _InFlight:
    outgoing: Outgoing
    acknowledged: Callable[[], bool]


class Outbox:
    """A bounded queue of QoS 1 messages in their order; of a retained topic only the newest message waits."""

    def __init__(self, *, capacity: int = 500, window: int = 20) -> None:
        self._capacity = capacity
        self._window = window
        self._waiting: deque[Outgoing] = deque()
        self._in_flight: deque[_InFlight] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight)

    def add(self, outgoing: Outgoing) -> Outgoing | None:
        """Queue `outgoing`; returns the message that was dropped for lack of room, if any."""
        if outgoing.retain and self._waiting:
            self._waiting = deque(other for other in self._waiting if not (other.retain and other.topic == outgoing.topic))
        self._waiting.append(outgoing)
        return self._waiting.popleft() if len(self._waiting) > self._capacity else None

    def take(self) -> Outgoing | None:
        """The next message to send, or None while as many as allowed are without their acknowledgement."""
        return self._waiting.popleft() if self._waiting and len(self._in_flight) < self._window else None

    def sent(self, outgoing: Outgoing, acknowledged: Callable[[], bool]) -> None:
        """Remember a message taken and sent until `acknowledged()` is true."""
        self._in_flight.append(_InFlight(outgoing, acknowledged))

    def settle(self) -> None:
        """Forget what has been acknowledged, in the order of sending."""
        while self._in_flight and self._in_flight[0].acknowledged():
            self._in_flight.popleft()

    def connection_lost(self) -> None:
        """Queue again, in the old order, what the broker did not acknowledge."""
        self.settle()
        again = [flight.outgoing for flight in self._in_flight] + list(self._waiting)
        self._in_flight.clear()
        self._waiting.clear()
        for outgoing in again:
            self.add(outgoing)

    def keep_clearings(self) -> None:
        """Forget all but the empty retained messages, which go out (again)."""
        self.connection_lost()
        self._waiting = deque(o for o in self._waiting if o.retain and not o.payload)

    def drop_expired(self, now: float) -> list[Outgoing]:
        """Remove and return what is no longer worth sending at `now`."""
        expired = [o for o in self._waiting if o.expires_at is not None and o.expires_at <= now]
        if expired:
            self._waiting = deque(o for o in self._waiting if o.expires_at is None or o.expires_at > now)
        return expired
