"""Identical bytes on a command topic within a minute are one command."""

import hashlib
from collections import OrderedDict

WINDOW_S = 60.0
CAPACITY = 1024


class Repeats:
    """Remembers the commands of the last minute, as digests and a bounded number of them."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._first_seen: OrderedDict[tuple[str, bytes], float] = OrderedDict()

    def repeated(self, topic: str, payload: bytes, now: float) -> bool:
        """Whether the same bytes counted on `topic` within the window before `now` (real seconds); else they count now."""
        while self._first_seen and (len(self._first_seen) >= self._capacity or now - next(iter(self._first_seen.values())) >= WINDOW_S):
            self._first_seen.popitem(last=False)
        key = (topic, hashlib.blake2b(payload, digest_size=16).digest())
        if key in self._first_seen:
            return True
        self._first_seen[key] = now
        return False
