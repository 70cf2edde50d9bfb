"""The controller's own state on disk: the event book and the memory, in one file, written atomically."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from services.bus.state_file import read_state, write_atomic
from services.controller.model import ManualMode, Memory
from services.core.event_book import Book

VERSION = 1


@dataclass(frozen=True, slots=True)
class State:
    """Everything that has to survive a `kill -9`."""

    version: int = VERSION
    book: Book = field(default_factory=Book)
    memory: Memory = field(default_factory=Memory)
    override: ManualMode | None = None


class StateUnusable(ValueError):
    """A state file that cannot be read; it has been set aside under `kept_as`."""

    def __init__(self, path: Path, kept_as: Path, why: str) -> None:
        super().__init__(f"{path} cannot be used ({why}); kept as {kept_as.name}, starting without events")
        self.kept_as = kept_as


class StateTooNew(RuntimeError):
    """A state file written by a later version of this software."""


_ADAPTER = TypeAdapter(State)


def save(path: Path, state: State) -> None:
    """Write `state` so that after a crash at any instruction either it or the one before is there. Raises OSError."""
    write_atomic(path, _ADAPTER.dump_json(state))


def load(path: Path) -> State:
    """The state at `path`; a new one where there is none.

    Raises StateUnusable for a damaged file, which is moved aside, and StateTooNew, which leaves it alone.
    """
    data = read_state(path)
    if data is None:
        return State()
    try:
        state = _ADAPTER.validate_json(data)
    except ValidationError as error:
        kept = path.with_suffix(".damaged")
        path.replace(kept)
        raise StateUnusable(path, kept, f"{error.error_count()} bad fields") from None
    if state.version > VERSION:
        raise StateTooNew(f"{path} is of version {state.version}, this software knows {VERSION}; install the newer version again")
    return state
