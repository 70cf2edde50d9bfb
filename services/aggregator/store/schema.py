"""The tables. Times are aware UTC; what a station sent stands as JSON beside the columns that are asked for."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

VERSION = 1


class UtcMillis(TypeDecorator[datetime]):
    """A time as whole milliseconds since 1970: the same in every database, and quick to compare."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """For the database."""
        return None if value is None else round(value.timestamp() * 1000)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """From the database."""
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


metadata = MetaData()

about = Table("about", metadata, Column("name", String(32), primary_key=True), Column("value", Text, nullable=False))
"""The version of the tables."""

station = Table(
    "station",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("generation", Integer, nullable=False),
    # Of its secrets, which are derived from it: a new one makes the old ones void.
    Column("enrolled_at", UtcMillis, nullable=False),
    Column("withdrawn_at", UtcMillis),
    Column("online", Boolean),
    # Null: it does not say.
    Column("online_at", UtcMillis),
    Column("registered_at", UtcMillis),
    Column("level", String(16)),
    Column("capacity_wh", Float),
    Column("power_w", Float),
    Column("pledge_w", Float),
    Column("programme", String(40)),
    Column("last_batch_at", UtcMillis),
)

event = Table(
    "event",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("sent_revision", Integer),
    Column("cancelled", Boolean, nullable=False),
    Column("start", UtcMillis, nullable=False),
    Column("end", UtcMillis, nullable=False),
    Column("goal_kind", String(16)),
    Column("goal_w", Float),
    Column("methods", JSON),
    Column("priority", Integer, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("notice", Text, nullable=False),
    Column("programme", String(40)),
    Column("to_all", Boolean, nullable=False),
    Column("ts", UtcMillis, nullable=False),
    # When this revision was called.
    Column("old_id", String(64)),
)

invited = Table(
    "invited",
    metadata,
    Column("event_id", ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
    Column("station", String(32), primary_key=True),
)
"""To whom an event goes that is not for all."""

answer = Table(
    "answer",
    metadata,
    Column("event_id", String(64), primary_key=True),
    Column("station", String(32), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("field", String(40)),
    Column("ts", UtcMillis, nullable=False),
    Column("first_at", UtcMillis, nullable=False),
    Column("received_at", UtcMillis, nullable=False),
)
"""The latest of each station to each event."""

batch = Table(
    "batch",
    metadata,
    Column("station", String(32), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("digest", String(64)),
    # Of the body; null once its content was deleted.
    Column("kind", String(16), nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("received_at", UtcMillis, nullable=False),
)
"""Every idempotency key, for ever: a retry of what was deleted must not bring it back."""

record = Table(
    "record",
    metadata,
    Column("station", String(32), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("key", String(64), primary_key=True),
    # What makes it one of a kind: the event's id, the hour, the time of the readings.
    Column("at", UtcMillis, nullable=False),
    Column("body", JSON, nullable=False),
    Column("rank", BigInteger, nullable=False),
    # Of an event's record: a lower one comes too late.
    Column("final", Boolean, nullable=False),
    Column("reduction_wh", Float),
    Column("received_at", UtcMillis, nullable=False),
)
Index("record_by_key", record.c.kind, record.c.key)

deletion = Table(
    "deletion",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("station", String(32), nullable=False, index=True),
    Column("requested_at", UtcMillis, nullable=False),
    Column("done_at", UtcMillis),
    Column("receipt", Text),
)
"""Requests to delete, and the signed receipt of each that was carried out."""
