"""What a person does to the fleet, from the page or the command line: both end here."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import Connection, Engine

from services.aggregator import broker_files, calling
from services.aggregator.calling import Typed
from services.aggregator.runtime import Context
from services.aggregator.signals import old_text
from services.aggregator.store import events, stations
from services.aggregator.store.events import Called
from services.aggregator.store.stations import Enrolled
from services.bus.uplink import old_form
from services.core.config.aggregator import NAME
from services.core.events import BadValue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """Writes go straight to the database; a running aggregator finds them there, so these work whether it runs or not."""

    context: Context
    engine: Engine

    def call(self, typed: Typed, event_id: str | None = None) -> Called:
        """Call a new event. Raises BadValue."""
        now = self.context.clock.now()
        chosen = event_id or calling.new_id(now, secrets.token_hex(3))

        def work(connection: Connection) -> Called:
            if events.get(connection, chosen) is not None:
                raise BadValue("id", chosen, "there is an event of this id already; amend it, or choose another")
            known = [one.name for one in stations.enrolled(connection)]
            one = calling.called(typed, chosen, now, self.context.file.zone, known)
            if self.context.file.old_form:
                one = replace(one, old_id=old_form.parse(old_text(one, self.context.file).encode(), self.context.file.zone).id)
            return events.call(connection, one)

        return self._write(work)

    def amend(self, event_id: str, typed: Typed) -> Called:
        """Change an event that is not over. Raises BadValue."""
        now = self.context.clock.now()
        return self._write(
            lambda connection: events.call(connection, calling.amended(_known(connection, event_id), typed, now, self.context.file.zone))
        )

    def cancel(self, event_id: str) -> Called:
        """Cancel an event that is not over. Raises BadValue."""
        now = self.context.clock.now()
        return self._write(lambda connection: events.call(connection, calling.cancelled(_known(connection, event_id), now)))

    def enrol(self, names: Sequence[str], *, renew: bool = False) -> list[Enrolled]:
        """Take stations in, and let them into the broker. Raises BadValue, OSError."""
        for name in names:
            check_name(name)
        now = self.context.clock.now()
        if len(names) > 50 and not renew:
            found = self._write(lambda connection: stations.enrol_many(connection, names, now))
        else:
            found = self._write(lambda connection: stations.enrol(connection, names, now, renew=renew))
        self.write_broker_files()
        return found

    def withdraw(self, name: str) -> bool:
        """Let a station in no more; False if it was not in. Raises OSError."""
        now = self.context.clock.now()
        gone = self._write(lambda connection: stations.withdraw(connection, name, now))
        self.write_broker_files()
        return gone

    def write_broker_files(self) -> bool:
        """Bring what the broker reads up to date; True if it changed. Raises OSError."""
        with broker_files.alone(self.context.secrets):
            enrolled = self.read(stations.enrolled)
            return broker_files.write(self.context.secrets, self.context.file.network, self.context.station_secrets(), enrolled)

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` finds."""
        with self.engine.connect() as connection:
            return work(connection)

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self.engine.execution_options(writes=True).begin() as connection:
            return work(connection)


def check_name(name: str) -> None:
    """Raise BadValue for what cannot be a level of a topic, or is the aggregator's own user."""
    if re.match(NAME, name) is None or name == broker_files.OWN_USER:
        raise BadValue("name", name[:80], f"use 1 to 32 of A-Z a-z 0-9 _ -, and not {broker_files.OWN_USER}")


def _known(connection: Connection, event_id: str) -> Called:
    if (one := events.get(connection, event_id, to_change=True)) is None:
        raise BadValue("id", event_id[:80], "there is no such event; see `sps aggregator events`")
    return one
