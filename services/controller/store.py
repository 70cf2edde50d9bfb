"""The controller's own state on disk: the event book and the memory, in one file, written atomically."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.bus.state_file import read_state, write_atomic
from services.controller.model import ManualMode, Memory
from services.controller.shifting import ShiftMemory
from services.core.event_book import Book
from services.core.events import Event

VERSION = 1
"""Raised when a field changes its meaning or goes away, with a migration; a new field with a default needs neither."""

Json = dict[str, Any]
MIGRATIONS: Mapping[int, Callable[[Json], Json]] = {}
"""From the version that is the key to the next one: a file's content as it stands in JSON, changed as it has to be."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything that has to survive a `kill -9`."""

    version: int = VERSION
    book: Book = field(default_factory=Book)
    memory: Memory = field(default_factory=Memory)
    override: ManualMode | None = None
    shifting: ShiftMemory = field(default_factory=ShiftMemory)


class StateUnusable(ValueError):
    """A state file that cannot be read as a whole; it has been set aside under `kept_as`, and `rest` is what could be read of it."""

    def __init__(self, path: Path, kept_as: Path, why: str, rest: State) -> None:
        kept = f"{len(rest.book.events)} events" if rest.book.events else "no events"
        super().__init__(f"{path} cannot be used ({why}); kept as {kept_as.name}, starting with {kept}")
        self.kept_as = kept_as
        self.rest = rest


class StateTooNew(RuntimeError):
    """A state file written by a later version of this software."""


_ADAPTER = TypeAdapter(State)
_PARTS: Mapping[str, TypeAdapter[Any]] = {
    "memory": TypeAdapter(Memory),
    "override": TypeAdapter(ManualMode | None),
    "shifting": TypeAdapter(ShiftMemory),
}
_EVENT = TypeAdapter(Event)


def save(path: Path, state: State) -> None:
    """Write `state` so that after a crash at any instruction either it or the one before is there. Raises OSError."""
    write_atomic(path, dumps(state))


def dumps(state: State) -> bytes:
    """The content of the file."""
    return _ADAPTER.dump_json(state)


def loads(data: bytes) -> State:
    """The inverse of `dumps`, for any version up to ours. Raises ValueError or StateTooNew."""
    return _ADAPTER.validate_json(json.dumps(_migrated(_parsed(data))))


def load(path: Path) -> State:
    """The state at `path`; a new one where there is none.

    Raises StateUnusable for a damaged file, which is moved aside, and StateTooNew, which leaves it alone.
    """
    data = read_state(path)
    if data is None:
        return State()
    try:
        return loads(data)
    except StateTooNew as error:
        raise StateTooNew(f"{path} {error}") from None
    except ValueError as error:
        why = f"{error.error_count()} bad fields" if isinstance(error, ValidationError) else str(error)
        kept = path.with_suffix(".damaged")
        path.replace(kept)
        raise StateUnusable(path, kept, why, _rest(data)) from None


def _parsed(data: bytes) -> Json:
    content = json.loads(data.decode())
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}")  # noqa: TRY004 - a wrong file, not a wrong call
    return content


def _migrated(content: Json) -> Json:
    version = content.get("version", VERSION)
    if not isinstance(version, int):
        raise ValueError("its version is no number")  # noqa: TRY004 - a wrong file, not a wrong call
    if version > VERSION:
        raise StateTooNew(f"is of version {version}, this software knows {VERSION}; install the newer version again")
    while version < VERSION:
        if (step := MIGRATIONS.get(version)) is None:
            raise ValueError(f"version {version} is too old to be read")
        content, version = step(content), version + 1
    return content | {"version": VERSION}


def _rest(data: bytes) -> State:
    """What is whole in a damaged file: each event, and each other part, by itself. A lost memory must not cost the events."""
    state = State()
    try:
        content = _migrated(_parsed(data))
    except ValueError:
        return state
    parts = {name: part for name, adapter in _PARTS.items() if (part := _valid(adapter, content.get(name))) is not None}
    book = content.get("book")
    events = book.get("events") if isinstance(book, dict) else None
    known = {name: _valid(_EVENT, body) for name, body in events.items()} if isinstance(events, dict) else {}
    kept = {name: event for name, event in known.items() if event is not None}
    return replace(state, book=Book(events=kept), **{each.name: parts[each.name] for each in fields(State) if each.name in parts})


def _valid(adapter: TypeAdapter[Any], content: object) -> Any:
    try:
        return adapter.validate_json(json.dumps(content))
    except ValueError:
        return None
