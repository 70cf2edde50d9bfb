"""How many of a thing may come in a time: a bucket that fills up again."""


class Bucket:
    """At most `capacity` at once, and `per_s` in the long run."""

    def __init__(self, capacity: float, per_s: float) -> None:
        self._capacity = capacity
        self._per_s = per_s
        self._level = capacity
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more may come at `now` (real seconds)."""
        if self._at is not None:
            self._level = min(self._capacity, self._level + (now - self._at) * self._per_s)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True
