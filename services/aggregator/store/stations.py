"""The stations of the network: who is enrolled, and what each says of itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from services.aggregator.store.schema import station
from services.bus.uplink.batches import Registration


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A station that may come in, and which of its secrets hold."""

    name: str
    generation: int


def enrol(connection: Connection, names: Sequence[str], now: datetime, *, renew: bool = False) -> list[Enrolled]:
    """Take in `names`; who is in already stays as it is, unless `renew` makes its secrets void or it had been withdrawn."""
    found = []
    for name in names:
        row = connection.execute(select(station.c.generation, station.c.withdrawn_at).where(station.c.name == name)).first()
        if row is None:
            generation = 1
            connection.execute(insert(station), {"name": name, "generation": generation, "enrolled_at": now})
        else:
            # Who had been withdrawn comes back with new secrets: the old ones may be in wrong hands.
            generation = row.generation + (1 if renew or row.withdrawn_at is not None else 0)
            connection.execute(update(station).where(station.c.name == name).values(generation=generation, withdrawn_at=None))
        found.append(Enrolled(name, generation))
    return found


def enrol_many(connection: Connection, names: Iterable[str], now: datetime) -> list[Enrolled]:
    """Take in many names at once, as `enrol` does without `renew`."""
    rows = connection.execute(select(station.c.name, station.c.generation, station.c.withdrawn_at))
    known = {row.name: row for row in rows}
    found, fresh, back = [], [], []
    for name in dict.fromkeys(names):
        if (row := known.get(name)) is None:
            one = Enrolled(name, 1)
            fresh.append(one)
        else:
            one = Enrolled(name, row.generation + (row.withdrawn_at is not None))
            back += [one] if row.withdrawn_at is not None else []
        found.append(one)
    if fresh:
        connection.execute(insert(station), [{"name": one.name, "generation": one.generation, "enrolled_at": now} for one in fresh])
    if back:
        connection.execute(
            update(station).where(station.c.name == bindparam("called")).values(generation=bindparam("renewed"), withdrawn_at=None),
            [{"called": one.name, "renewed": one.generation} for one in back],
        )
    return found


def withdraw(connection: Connection, name: str, now: datetime) -> bool:
    """Let `name` come in no more; False if it was not in."""
    changed = connection.execute(
        update(station).where(station.c.name == name, station.c.withdrawn_at.is_(None)).values(withdrawn_at=now, online=None)
    )
    return changed.rowcount > 0


def enrolled(connection: Connection) -> list[Enrolled]:
    """All that may come in, by name."""
    rows = connection.execute(select(station.c.name, station.c.generation).where(station.c.withdrawn_at.is_(None)).order_by(station.c.name))
    return [Enrolled(row.name, row.generation) for row in rows]


def generation_of(connection: Connection, name: str, *, withdrawn: bool = False) -> int | None:
    """Which secrets of `name` hold; None if it may not come in. With `withdrawn` those that held last, too."""
    asked = select(station.c.generation).where(station.c.name == name)
    return connection.execute(asked if withdrawn else asked.where(station.c.withdrawn_at.is_(None))).scalar()


def register(connection: Connection, name: str, said: Registration, now: datetime) -> None:
    """Keep what `name` says that it can do; what it no longer says is forgotten."""
    connection.execute(
        update(station)
        .where(station.c.name == name)
        .values(
            registered_at=now,
            level=said.level,
            capacity_wh=said.capacity_wh,
            power_w=said.power_w,
            pledge_w=said.pledge_w,
            programme=said.programme,
        )
    )


def forget_presence(connection: Connection) -> None:
    """Nobody is known to be connected: what was said of it may be out of date."""
    connection.execute(update(station).where(station.c.online.is_not(None)).values(online=None))


def present(connection: Connection, said: Sequence[tuple[str, bool | None, datetime]]) -> None:
    """Keep who is connected, as each said last; None: it no longer says."""
    if said:
        rows = [{"called": name, "now_online": online, "said_at": at} for name, online, at in said]
        connection.execute(
            update(station)
            .where(station.c.name == bindparam("called"))
            .values(online=bindparam("now_online"), online_at=bindparam("said_at")),
            rows,
        )
