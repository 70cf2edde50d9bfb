"""Deletion at a person's request, and the receipt that proves it."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from services.aggregator.store.schema import answer, batch, deletion, record, station


@dataclass(frozen=True, slots=True)
class Deleted:
    """What one deletion removed, and what was left after it: counted, not assumed."""

    id: str
    station: str
    requested_at: datetime
    records: dict[str, int]
    answers: int
    left: int


def request(connection: Connection, deletion_id: str, name: str, now: datetime) -> None:
    """Keep that `name` asked, so that a restart does not forget it."""
    connection.execute(insert(deletion), {"id": deletion_id, "station": name, "requested_at": now})


def due(connection: Connection) -> list[str]:
    """The requests that are not proven yet, the oldest first."""
    return list(connection.execute(select(deletion.c.id).where(deletion.c.done_at.is_(None)).order_by(deletion.c.requested_at)).scalars())


def remove(connection: Connection, deletion_id: str) -> Deleted:
    """Delete what the station sent, what it said of itself, and its answers; its enrolment stays. Once only: what comes later is new.

    Idempotency keys stay, without the digest of their content: a retry that was under way must not bring anything back.
    """
    row = connection.execute(select(deletion).where(deletion.c.id == deletion_id)).one()
    if row.receipt is not None:
        return Deleted(deletion_id, row.station, row.requested_at, **json.loads(row.receipt))
    name = row.station
    found = connection.execute(select(record.c.kind, func.count()).where(record.c.station == name).group_by(record.c.kind))
    records = {kind: count for kind, count in found}  # noqa: C416 - rows are no pairs to mypy
    connection.execute(delete(record).where(record.c.station == name))
    answers = connection.execute(delete(answer).where(answer.c.station == name)).rowcount
    connection.execute(update(batch).where(batch.c.station == name).values(digest=None))
    connection.execute(
        update(station)
        .where(station.c.name == name)
        .values(registered_at=None, level=None, capacity_wh=None, power_w=None, pledge_w=None, programme=None, last_batch_at=None)
    )
    left = sum(
        connection.execute(select(func.count()).select_from(table).where(table.c.station == name)).scalar_one()
        for table in (record, answer)
    )
    counted = {"records": records, "answers": answers, "left": left}
    # Until it is proven the counts stand in the receipt's place: counted again after a restart they would be zero.
    connection.execute(update(deletion).where(deletion.c.id == deletion_id).values(receipt=json.dumps(counted)))
    return Deleted(deletion_id, name, row.requested_at, records, answers, left)


def prove(connection: Connection, deletion_id: str, now: datetime, receipt: str) -> None:
    """Hand out the receipt: nothing of what was removed stands in any file of the database."""
    connection.execute(update(deletion).where(deletion.c.id == deletion_id).values(done_at=now, receipt=receipt))


def receipt_of(connection: Connection, name: str, deletion_id: str) -> tuple[bool, str | None]:
    """Whether `name` made this request, and its receipt once it is proven."""
    row = connection.execute(select(deletion).where(deletion.c.id == deletion_id, deletion.c.station == name)).first()
    return (False, None) if row is None else (True, None if row.done_at is None else row.receipt)
