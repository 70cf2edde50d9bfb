"""What a crowd has done, kept for its next run: it must not report hours again as if the events in them had never been."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from services.bus.state_file import read_state, write_atomic
from services.simulator.fleet.home import Span

MATTERS_FOR = timedelta(hours=30)
"""How long after its end an event still shows in a home's hours: the night charges what it took."""

log = logging.getLogger(__name__)


class Done(BaseModel):
    """One station: until when the aggregator has its hours, and what it played."""

    model_config = ConfigDict(frozen=True)

    sent_until: AwareDatetime | None = None
    events: dict[str, tuple[AwareDatetime, AwareDatetime]] = {}

    @property
    def spans(self) -> dict[str, Span]:
        """What it played, by event."""
        return {event_id: Span(start, end) for event_id, (start, end) in self.events.items()}

    @classmethod
    def of(cls, spans: Mapping[str, Span], sent_until: AwareDatetime | None) -> "Done":
        """Without the events that no hour to come can show."""
        shown = {
            event_id: (span.start, span.end)
            for event_id, span in spans.items()
            if sent_until is None or span.end > sent_until - MATTERS_FOR
        }
        return cls(sent_until=sent_until, events=shown)


class _File(BaseModel):
    network: str
    stations: dict[str, Done]


def recall(path: Path, network: str) -> dict[str, Done]:
    """What stations of `network` did, by name; nothing where nothing usable is kept."""
    try:
        data = read_state(path)
        file = None if data is None else _File.model_validate_json(data)
    except (OSError, ValidationError) as error:
        log.warning("%s is passed over, and past hours are sent anew: %s", path, error)
        return {}
    return file.stations if file is not None and file.network == network else {}


def remember(path: Path, network: str, done: dict[str, Done]) -> None:
    """Keep `done` beside what other stations did. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _File(network=network, stations=recall(path, network) | done)
    write_atomic(path, file.model_dump_json().encode())
