"""The events that were called, and which of them have yet to go out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from services.aggregator.store.database import upsert
from services.aggregator.store.schema import answer, event, invited
from services.bus.uplink.messages import AggregatorEvent
from services.core.config.policy import GoalSection
from services.core.events import OPEN_STATUSES, BadValue
from services.core.goals import GoalKind, Method


@dataclass(frozen=True, slots=True)
class Called:
    """An event as it was called last. `stations` is empty for all of the network."""

    id: str
    revision: int
    start: datetime
    end: datetime
    ts: datetime
    """When this revision was called."""
    cancelled: bool = False
    goal: GoalSection | None = None
    methods: tuple[Method, ...] = ()
    priority: int = 0
    test: bool = False
    notice: str = ""
    programme: str | None = None
    stations: tuple[str, ...] = ()
    old_id: str | None = None
    sent: bool = False

    def message(self, network: str, station: str | None, ts: datetime, nonce: str) -> AggregatorEvent:
        """What goes to `station`, or to all of the network, sent at `ts`.

        Sent again it is a new message with a nonce of its own: stations take the same one twice only for a while, then it is a replay.
        """
        if self.cancelled:
            return AggregatorEvent(
                action="cancel", id=self.id, revision=self.revision, network=network, station=station, ts=ts, nonce=nonce
            )
        return AggregatorEvent(
            id=self.id,
            revision=self.revision,
            start=self.start,
            duration=self.end - self.start,
            goal=self.goal,
            methods=self.methods or None,
            priority=self.priority,
            test=self.test,
            notice=self.notice,
            programme=self.programme,
            network=network,
            station=station,
            ts=ts,
            nonce=nonce,
        )


def call(connection: Connection, wanted: Called) -> Called:
    """Keep an event that is new, or a change of one: then its revision is the next. Raises BadValue for a change of what is over."""
    before = get(connection, wanted.id, to_change=True)
    if before is not None:
        if before.cancelled:
            raise BadValue("id", wanted.id, "it was cancelled; call a new event")
        if before.end <= wanted.ts:
            raise BadValue("id", wanted.id, "it is over; call a new event")
        if before.stations != wanted.stations:
            raise BadValue(
                "stations", ", ".join(wanted.stations) or "all", "to whom an event goes cannot change; cancel it and call a new one"
            )
        wanted = replace(wanted, revision=before.revision + 1)
    goal_w = None if wanted.goal is None else wanted.goal.goal().power_w
    row = {
        "id": wanted.id,
        "revision": wanted.revision,
        "cancelled": wanted.cancelled,
        "start": wanted.start,
        "end": wanted.end,
        "goal_kind": None if wanted.goal is None else wanted.goal.kind.value,
        "goal_w": goal_w,
        "methods": [method.value for method in wanted.methods],
        "priority": wanted.priority,
        "test": wanted.test,
        "notice": wanted.notice,
        "programme": wanted.programme,
        "to_all": not wanted.stations,
        "ts": wanted.ts,
        "old_id": wanted.old_id,
    }
    upsert(connection, event, [row])
    connection.execute(delete(invited).where(invited.c.event_id == wanted.id))
    if wanted.stations:
        connection.execute(insert(invited), [{"event_id": wanted.id, "station": name} for name in wanted.stations])
    return wanted


def get(connection: Connection, event_id: str, *, to_change: bool = False) -> Called | None:
    """The event called so. `to_change`: whoever else wants to change it waits until this transaction is over."""
    asked = select(event).where(event.c.id == event_id)
    # SQLite's transactions that write come one after the other anyway.
    row = connection.execute(asked.with_for_update() if to_change else asked).first()
    return None if row is None else _called(connection, row)


def unsent(connection: Connection) -> list[Called]:
    """What the broker has not acknowledged yet in its latest revision, the oldest first."""
    rows = connection.execute(
        select(event).where(or_(event.c.sent_revision.is_(None), event.c.sent_revision < event.c.revision)).order_by(event.c.ts)
    ).all()
    return [_called(connection, row) for row in rows]


def sent(connection: Connection, event_id: str, revision: int) -> None:
    """The broker has this revision."""
    connection.execute(update(event).where(event.c.id == event_id).values(sent_revision=revision))


def unanswered(connection: Connection, names: Sequence[str], now: datetime) -> list[tuple[str, Called]]:
    """What each of `names` has not answered though it concerns it and is not over: sent again when a station comes back."""
    open_now = [_called(connection, row) for row in connection.execute(select(event).where(event.c.end > now))]
    found = []
    for one in open_now if names else ():
        # Nothing else is needed of a station for which the event has ended; and its word for that carries the revision that ended.
        enough = answer.c.status.not_in(OPEN_STATUSES) if one.cancelled else answer.c.revision >= one.revision
        said = and_(answer.c.event_id == one.id, enough, answer.c.station.in_(names))
        heard = set(connection.execute(select(answer.c.station).where(said)).scalars())
        found += [(name, one) for name in names if name not in heard and (not one.stations or name in one.stations)]
    return found


def by_old_id(connection: Connection, old_id: str) -> tuple[str, int] | None:
    """Id and revision of the event that has `old_id` in the older form."""
    row = connection.execute(select(event.c.id, event.c.revision).where(event.c.old_id == old_id)).first()
    return None if row is None else (row.id, row.revision)


def _called(connection: Connection, row: Row[tuple[object, ...]]) -> Called:
    names = (
        () if row.to_all else connection.execute(select(invited.c.station).where(invited.c.event_id == row.id).order_by(invited.c.station))
    )
    kind = None if row.goal_kind is None else GoalKind(row.goal_kind)
    return Called(
        id=row.id,
        revision=row.revision,
        start=row.start,
        end=row.end,
        ts=row.ts,
        cancelled=row.cancelled,
        goal=None
        if kind is None
        else GoalSection(
            kind=kind,
            reduction_w=row.goal_w if kind is GoalKind.PLEDGE else None,
            import_w=row.goal_w if kind is GoalKind.LIMIT else None,
        ),
        methods=tuple(Method(one) for one in row.methods or ()),
        priority=row.priority,
        test=row.test,
        notice=row.notice,
        programme=row.programme,
        stations=tuple(one.station for one in names),
        old_id=row.old_id,
        sent=row.sent_revision is not None and row.sent_revision >= row.revision,
    )
