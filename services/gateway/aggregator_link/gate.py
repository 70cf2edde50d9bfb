"""What is being sent stops leaving, in the middle of a body if need be, when less is shared."""

import io
import threading
from collections.abc import Callable
from typing import Any, Self

from urllib3.util.retry import Retry


class Withdrawn(Exception):
    """What was about to be sent may not be sent any more."""


class Gate:
    """Closes when what is shared changes. Asked from the sending thread before each piece of a body."""

    def __init__(self, epoch: Callable[[], int]) -> None:
        self._epoch = epoch
        self._at = epoch()
        self.closed = threading.Event()

    def check(self) -> None:
        """Raises Withdrawn once it has closed."""
        if self.closed.is_set() or self._epoch() != self._at:
            raise Withdrawn


class GatedBody(io.BytesIO):
    """A body that stops leaving in the middle when its gate closes."""

    def __init__(self, data: bytes, gate: Gate) -> None:
        super().__init__(data)
        self._gate = gate

    def read(self, size: int | None = -1, /) -> bytes:
        """The next piece. Raises Withdrawn."""
        self._gate.check()
        return super().read(size)


class GatedRetry(Retry):
    """urllib3's retry, which looks at the gate before each further attempt, and wakes when it closes."""

    gate: Gate | None = None
    attempted: Callable[[], None] | None = None

    def new(self, **changes: Any) -> Self:
        """The same with one attempt less."""
        made = super().new(**changes)
        made.gate, made.attempted = self.gate, self.attempted
        return made

    def sleep(self, response: Any = None) -> None:  # noqa: ARG002 - urllib3's signature
        """Wait before the next attempt. Raises Withdrawn."""
        wait_s = self.get_backoff_time()
        if self.gate is not None:
            self.gate.closed.wait(wait_s)
            self.gate.check()
        if self.attempted is not None:
            self.attempted()
