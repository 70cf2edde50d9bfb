"""What stations said to events: the latest of each is kept, whatever order they come in."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from services.aggregator.store.database import upsert
from services.aggregator.store.schema import answer, event, station
from services.bus.uplink.messages import Answer


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, from whom, and when it came in."""

    station: str
    answer: Answer
    at: datetime


def keep(connection: Connection, heard: Iterable[Heard]) -> list[Heard]:
    """Keep each that is newer than what was known; returns those that nobody asked for: an unknown event or station."""
    newest: dict[tuple[str, str], Heard] = {}
    for one in heard:
        place = (one.answer.id, one.station)
        if place not in newest or _later(one.answer, newest[place].answer.revision, newest[place].answer.ts):
            newest[place] = one
    ids, names = {event_id for event_id, _ in newest}, sorted({name for _, name in newest})
    known_events = set(connection.execute(select(event.c.id).where(event.c.id.in_(ids))).scalars())
    known_names: set[str] = set()
    before: dict[tuple[str, str], tuple[int, datetime]] = {}
    # In slices, because databases bound the number of parameters.
    for first in range(0, len(names), 500):
        some = names[first : first + 500]
        known_names |= set(connection.execute(select(station.c.name).where(station.c.name.in_(some))).scalars())
        rows = connection.execute(
            select(answer.c.event_id, answer.c.station, answer.c.revision, answer.c.ts).where(
                answer.c.event_id.in_(ids), answer.c.station.in_(some)
            )
        )
        before |= {(row.event_id, row.station): (row.revision, row.ts) for row in rows}
    rows_new, strange = [], []
    for place, one in newest.items():
        if place[0] not in known_events or place[1] not in known_names:
            strange.append(one)
        elif place not in before or _later(one.answer, *before[place]):
            rows_new.append(_row(one))
    upsert(connection, answer, rows_new, keep=("first_at",))
    return strange


def _later(said: Answer, revision: int, ts: datetime) -> bool:
    return (said.revision, said.ts) >= (revision, ts)


def _row(one: Heard) -> dict[str, object]:
    said = one.answer
    return {
        "event_id": said.id,
        "station": one.station,
        "revision": said.revision,
        "status": said.status.value,
        "reason": said.reason.value,
        "field": said.field,
        "ts": said.ts,
        "first_at": one.at,
        "received_at": one.at,
    }
