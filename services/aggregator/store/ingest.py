"""Batches into the record table: each key once, and of each record the latest."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from services.aggregator.store.database import upsert
from services.aggregator.store.schema import batch, record, station
from services.bus.uplink.batches import BatchAccepted, EventBatch, EventRecord, FullBatch, FullRecord, HourBatch, HourRecord, plain


class KeyReused(Exception):
    """The idempotency key has stood for another body before."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """One checked batch of a station."""

    station: str
    key: str
    digest: str
    """SHA-256 of the body, unpacked."""
    batch: EventBatch | HourBatch | FullBatch
    at: datetime


def take(connection: Connection, one: Submitted) -> BatchAccepted:
    """Store the batch, unless its key was seen before. Raises KeyReused."""
    before = connection.execute(
        select(batch.c.digest, batch.c.accepted).where(batch.c.station == one.station, batch.c.key == one.key)
    ).first()
    if before is not None:
        if before.digest is not None and before.digest != one.digest:
            raise KeyReused
        return BatchAccepted(accepted=before.accepted, duplicate=True)
    rows = {row["key"]: row for row in (_row(one, each) for each in one.batch.records)}
    upsert(connection, record, _not_older(connection, one, rows))
    connection.execute(
        insert(batch),
        {
            "station": one.station,
            "key": one.key,
            "digest": one.digest,
            "kind": one.batch.kind,
            "accepted": len(one.batch.records),
            "received_at": one.at,
        },
    )
    connection.execute(update(station).where(station.c.name == one.station).values(last_batch_at=one.at))
    return BatchAccepted(accepted=len(one.batch.records))


def _not_older(connection: Connection, one: Submitted, rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those event records of which a later revision of the figures is there already."""
    if one.batch.kind != "event":
        return list(rows.values())
    stored = select(record.c.key, record.c.rank).where(
        record.c.station == one.station, record.c.kind == "event", record.c.key.in_(list(rows))
    )
    before = {row.key: row.rank for row in connection.execute(stored)}
    return [row for key, row in rows.items() if row["rank"] >= before.get(key, 0)]


def _row(one: Submitted, each: EventRecord | HourRecord | FullRecord) -> dict[str, Any]:
    at = each.ts if isinstance(each, FullRecord) else each.start
    return {
        "station": one.station,
        "kind": one.batch.kind,
        "key": each.id if isinstance(each, EventRecord) else at.isoformat(timespec="milliseconds"),
        "at": at,
        "body": plain(each),
        "rank": _rank(each) if isinstance(each, EventRecord) else 0,
        "final": isinstance(each, EventRecord) and each.final,
        "reduction_wh": each.reduction_wh if isinstance(each, EventRecord) else None,
        "received_at": one.at,
    }


def _rank(each: EventRecord) -> int:
    """Later is higher: first by the event's revision, then final over provisional, then by the figures' own revision."""
    return (min(each.revision, 2**31) << 22) | (each.final << 21) | min(each.figures_revision, 2**21 - 1)
