"""How long a simulator lives without being asked to."""

import time
from collections.abc import Callable


class Lease:
    """Runs out unless it is renewed; in real seconds. Without a term it never does."""

    def __init__(self, term_s: float | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._term_s = term_s
        self._monotonic = monotonic
        self._until = monotonic() + term_s if term_s is not None else None

    def renew(self, seconds: float | None = None) -> None:
        """Last `seconds` from now; None for the term. Does nothing for a simulator that runs until it is stopped."""
        if self._term_s is not None:
            self._until = self._monotonic() + (self._term_s if seconds is None else seconds)

    @property
    def over(self) -> bool:
        """Whether it has run out."""
        return self._until is not None and self._monotonic() > self._until
