"""What the fleet's page and the exports show: questions over the tables, and no figure that was not sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, exists, func, or_, select

from services.aggregator.store.schema import answer, event, invited, record, station
from services.core.events import EventStatus

_final = and_(record.c.kind == "event", record.c.final.is_(True))
TAKES_PART = ("scheduled", "upcoming", "ongoing", "completed")


@dataclass(frozen=True, slots=True)
class Totals:
    """The fleet in figures. Watts of stations that say none are not in the sums; `*_saying` tells how many say them."""

    enrolled: int
    online: int
    silent: int
    """They do not say whether they are online."""
    pledged_w: float
    pledge_saying: int
    delivering: int
    delivering_w: float
    """By what those that deliver now have pledged: a promise, not a measurement."""
    settled_wh: float
    settled: int
    """Final event records with a reduction, one of each station and event; tests are not among them."""


@dataclass(frozen=True, slots=True)
class StationRow:
    """One station on the page. None is unknown, or not shared."""

    name: str
    online: bool | None
    online_at: datetime | None
    level: str | None
    capacity_wh: float | None
    power_w: float | None
    pledge_w: float | None
    programme: str | None
    last_batch_at: datetime | None
    delivering: str | None
    """The event for which it says that it delivers now."""
    settled_wh: float | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event on the page, with how far it has come."""

    id: str
    revision: int
    start: datetime
    end: datetime
    cancelled: bool
    sent: bool
    test: bool
    notice: str
    goal_kind: str | None
    goal_w: float | None
    to_all: bool
    asked: int
    answered: int
    takes_part: int
    asking: int
    out: int
    refused: int
    ongoing: int
    settled: int
    reduction_wh: float | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """One station's final figures for one event, as it sent them."""

    event_id: str
    station: str
    body: dict[str, Any]
    received_at: datetime


def totals(connection: Connection, now: datetime) -> Totals:
    """The fleet now."""
    counts = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(case((station.c.online.is_(True), 1), else_=0)), 0),
            func.coalesce(func.sum(case((station.c.online.is_(None), 1), else_=0)), 0),
            func.coalesce(func.sum(station.c.pledge_w), 0.0),
            func.count(station.c.pledge_w),
        ).where(station.c.withdrawn_at.is_(None))
    ).one()
    delivering = connection.execute(
        select(func.count(), func.coalesce(func.sum(station.c.pledge_w), 0.0)).where(
            station.c.withdrawn_at.is_(None), station.c.name.in_(_delivering(now))
        )
    ).one()
    settled = connection.execute(
        _settled(func.coalesce(func.sum(record.c.reduction_wh), 0.0), func.count(record.c.reduction_wh)).where(event.c.test.is_(False))
    ).one()
    return Totals(*counts, *delivering, *settled)


def stations(connection: Connection, now: datetime, *, show: str = "all", after: str = "", limit: int = 100) -> list[StationRow]:
    """Stations by name from the one behind `after` on; `show` is `all`, `online` or `delivering`."""
    asked = select(station).where(station.c.withdrawn_at.is_(None), station.c.name > after).order_by(station.c.name).limit(limit)
    if show == "online":
        asked = asked.where(station.c.online.is_(True))
    elif show == "delivering":
        asked = asked.where(station.c.name.in_(_delivering(now)))
    rows = connection.execute(asked).all()
    names = [row.name for row in rows]
    running = _answered(answer.c.station, answer.c.event_id).where(answer.c.station.in_(names), _ongoing(now))
    delivering = {row.station: row.event_id for row in connection.execute(running)}
    summed = _settled(record.c.station, func.sum(record.c.reduction_wh).label("wh"))
    summed = summed.where(event.c.test.is_(False), record.c.station.in_(names))
    settled = {row.station: row.wh for row in connection.execute(summed.group_by(record.c.station))}
    return [
        StationRow(
            row.name, row.online, row.online_at, row.level, row.capacity_wh, row.power_w, row.pledge_w, row.programme, row.last_batch_at,
            delivering.get(row.name), settled.get(row.name),
        )
        for row in rows
    ]  # fmt: skip


def events(connection: Connection, *, event_id: str | None = None, limit: int = 50) -> list[EventRow]:
    """The latest events, or one, with the progress of each."""
    asked: Select[Any] = select(event).order_by(event.c.start.desc()).limit(limit)
    if event_id is not None:
        asked = asked.where(event.c.id == event_id)
    return [_event_row(connection, row) for row in connection.execute(asked).all()]


def answers_to(connection: Connection, event_id: str, *, after: str = "", limit: int = 200) -> list[Any]:
    """What the stations that were asked said to one event, by name."""
    asked = _answered(answer).where(answer.c.event_id == event_id, answer.c.station > after).order_by(answer.c.station).limit(limit)
    return list(connection.execute(asked))


def settlements(connection: Connection, event_id: str | None = None) -> Iterator[Settlement]:
    """Every final event record of a station that was asked, by event and station."""
    asked = _settled(event.c.id, record.c.station, record.c.body, record.c.received_at).order_by(event.c.id, record.c.station)
    if event_id is not None:
        asked = asked.where(event.c.id == event_id)
    for row in connection.execute(asked.execution_options(yield_per=500)):
        yield Settlement(row.id, row.station, row.body, row.received_at)


def _asked() -> Any:
    """Whether `event` concerns `station`: it was in at the time, and invited where not all were."""
    return and_(
        station.c.enrolled_at < event.c.end,
        or_(station.c.withdrawn_at.is_(None), station.c.withdrawn_at >= event.c.start),
        or_(event.c.to_all, exists().where(invited.c.event_id == event.c.id, invited.c.station == station.c.name)),
    )


def _answered(*wanted: Any) -> Select[Any]:
    """Of the answers that count: a station may send one to an event that was not for it."""
    return (
        select(*wanted)
        .select_from(answer)
        .join(event, event.c.id == answer.c.event_id)
        .join(station, station.c.name == answer.c.station)
        .where(_asked())
    )


def _settled(*wanted: Any) -> Select[Any]:
    """Of the final records that count: a station may send some of events that were never called here, or not for it."""
    # Who heard the older form knows the event by its older id.
    called = record.c.key.in_([event.c.id, event.c.old_id])
    return select(*wanted).select_from(record).join(event, called).join(station, station.c.name == record.c.station).where(_final, _asked())


def _ongoing(now: datetime) -> Any:
    return and_(
        answer.c.status == EventStatus.ONGOING.value,
        answer.c.revision == event.c.revision,
        event.c.cancelled.is_(False),
        event.c.start <= now,
        event.c.end > now,
    )


def _delivering(now: datetime) -> Any:
    return _answered(answer.c.station).where(_ongoing(now))


def _event_row(connection: Connection, row: Any) -> EventRow:
    said = _answered(answer.c.status, func.count()).where(event.c.id == row.id)
    # A cancellation has no revision at the station: its answer carries that of the event which ended.
    said = said.where(answer.c.status == EventStatus.CANCELLED.value if row.cancelled else answer.c.revision == row.revision)
    counted = connection.execute(said.group_by(answer.c.status))
    by_status: dict[str, int] = {status: count for status, count in counted}  # noqa: C416 - rows are no pairs to mypy
    asked = connection.execute(select(func.count()).select_from(station).join(event, _asked()).where(event.c.id == row.id)).scalar_one()
    settled = connection.execute(
        _settled(func.count(record.c.reduction_wh), func.sum(record.c.reduction_wh)).where(event.c.id == row.id)
    ).one()
    return EventRow(
        id=row.id,
        revision=row.revision,
        start=row.start,
        end=row.end,
        cancelled=row.cancelled,
        sent=row.sent_revision is not None and row.sent_revision >= row.revision,
        test=row.test,
        notice=row.notice,
        goal_kind=row.goal_kind,
        goal_w=row.goal_w,
        to_all=row.to_all,
        asked=asked,
        answered=sum(by_status.values()),
        takes_part=sum(by_status.get(status, 0) for status in TAKES_PART),
        asking=by_status.get("pending", 0),
        out=by_status.get("opted_out", 0),
        refused=by_status.get("refused", 0) + by_status.get("expired", 0),
        ongoing=by_status.get("ongoing", 0),
        settled=settled[0],
        reduction_wh=settled[1],
    )
