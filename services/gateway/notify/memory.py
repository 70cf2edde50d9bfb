"""What was told and what is still to be delivered: on disk before anything goes out, so that nothing is told twice."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.bus.messages.base import Utc
from services.bus.state_file import read_state, write_atomic
from services.core.config.notifications import Kind

MOST_TOLD = 1000
"""Things told that are remembered, and those of events that are still there in any case."""
MOST_WAITING = 50
"""Messages that wait for one target or another; the oldest give way."""


class MemoryUnusable(ValueError):
    """The file of memory cannot be used; says why."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Watch(_Kept):
    """A condition that is told once it has lasted, and may be told again only after a while without it."""

    since: Utc | None = None
    """Since when it holds; None while it does not."""
    clear_since: Utc | None = None
    """Since when it does not hold any more."""
    told_at: Utc | None = None
    told: bool = False
    """Told, and not cleared since."""


class Waiting(_Kept):
    """One message for one target."""

    key: str
    kind: Kind
    title: str
    body: str
    made_at: Utc
    target: str
    attempts: int = 0
    trying: bool = False
    """An attempt has begun: after a crash nobody knows whether it went out, so it is not repeated."""


class Memory(_Kept):
    """All of it."""

    told: dict[str, Utc] = Field(default_factory=dict)
    """Things that were told, or would have been had their kind not been switched off."""
    watches: dict[str, Watch] = Field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()

    def with_told(self, key: str, wall: datetime) -> "Memory":
        """Remembering that `key` was told."""
        return self.model_copy(update={"told": {**self.told, key: wall}})

    def shortened(self, over: Callable[[str], bool]) -> "Memory":
        """Without the oldest of what is `over`, down to `MOST_TOLD`; this same memory where it is no longer than that."""
        if len(self.told) <= MOST_TOLD:
            return self
        oldest_first = sorted((key for key in self.told if over(key)), key=lambda key: self.told[key])
        gone = set(oldest_first[: len(self.told) - MOST_TOLD])
        return self.model_copy(update={"told": {key: at for key, at in self.told.items() if key not in gone}})

    def with_watch(self, key: str, watch: Watch | None) -> "Memory":
        """With another state of a watch; None removes it."""
        watches = {name: one for name, one in self.watches.items() if name != key}
        return self.model_copy(update={"watches": watches if watch is None else {**watches, key: watch}})


def load(path: Path) -> Memory:
    """What was kept at `path`; the empty memory where nothing was. Raises MemoryUnusable and OSError."""
    if (data := read_state(path)) is None:
        return Memory()
    try:
        return Memory.model_validate_json(data)
    except ValidationError:
        raise MemoryUnusable(f"{path} cannot be used") from None


def save(path: Path, memory: Memory) -> None:
    """Keep `memory`. Raises OSError."""
    write_atomic(path, memory.model_dump_json().encode(), private=True)
