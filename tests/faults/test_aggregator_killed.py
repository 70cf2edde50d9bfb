"""The aggregator is killed in the middle of what stations send: every acknowledged record is there, once."""

import json
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import requests
from sqlalchemy import Connection, func, select

from services.aggregator.calling import Typed
from services.aggregator.store import fleet
from services.aggregator.store.schema import record
from services.bus.uplink.messages import AggregatorEvent
from services.bus.uplink.signing import public_key, verify
from tests.support.aggregator import NETWORK, Aggregator, Enrolled, aggregator, hour_batch
from tests.support.waiting import wait_until

STATIONS = 4
BATCH = 5
KILLS = 3


def hours_of(one: Aggregator, name: str) -> int:
    return one.read(lambda connection: connection.execute(select(func.count()).where(record.c.station == name)).scalar_one())


class Sender(threading.Thread):
    """Sends its hours one batch after the other, each until it is acknowledged, whatever happens to the connection."""

    def __init__(self, station: Enrolled) -> None:
        super().__init__(daemon=True)
        self.station = station
        self.acknowledged: list[int] = []
        self.doubled = 0
        self.ending = threading.Event()
        self.lost = 0

    def run(self) -> None:
        number = 0
        while not self.ending.is_set():
            hours = range(number * BATCH, (number + 1) * BATCH)
            try:
                answer = self.station.post(hour_batch(*hours), f"batch-{number:08d}")
            except requests.RequestException:
                # Nobody knows whether it was kept: it is sent again.
                self.lost += 1
                self.ending.wait(0.05)
                continue
            if answer.status_code == 200:
                self.doubled += answer.json()["duplicate"]
                self.acknowledged += hours
                number += 1


def further(senders: list[Sender], before: list[int]) -> bool:
    return all(len(sender.acknowledged) >= count + 4 * BATCH for sender, count in zip(senders, before, strict=True))


def test_every_acknowledged_record_survives_kill_9_and_is_there_once(tmp_path: Path) -> None:
    with aggregator(tmp_path, api={"batches_per_minute": 100_000}) as one:
        senders = [Sender(one.enrol(f"house-{number}")) for number in range(STATIONS)]
        for sender in senders:
            sender.start()
        for _ in range(KILLS):
            before = [len(sender.acknowledged) for sender in senders]
            wait_until(partial(further, senders, before), 30, what="batches after the start")
            one.kill()
            one.start()
        for sender in senders:
            sender.ending.set()
        for sender in senders:
            sender.join(30)
        assert sum(sender.lost for sender in senders) > 0, "no connection was ever lost: the kill proved nothing"
        for sender in senders:
            kept = one.read(partial(keys, name=sender.station.name))
            assert len(kept) == len(set(kept))
            assert set(sender.acknowledged) <= set(kept)
            # What was kept without an answer, a batch at most, is there whole.
            assert len(kept) % BATCH == 0


def keys(connection: Connection, *, name: str) -> list[int]:
    first = datetime(2026, 6, 1, tzinfo=UTC)
    rows = connection.execute(select(record.c.at).where(record.c.station == name)).scalars()
    return [int((at - first) / timedelta(hours=1)) for at in rows]


def test_an_answer_given_while_the_aggregator_is_away_is_not_lost(tmp_path: Path) -> None:
    """Its broker lives on elsewhere here, as in a container of its own."""
    broker_only = Aggregator(tmp_path)
    try:
        broker_only.start()
        station = broker_only.enrol("house-1")
        broker_only.desk.call(Typed("now", "PT1H"), "before")
        wait_until(lambda: row(broker_only, "before").sent, what="sending")
        broker_only.kill()
        # Called while nothing runs: it goes out at the next start.
        broker_only.desk.call(Typed("now", "PT1H"), "meanwhile")
        broker_only.start()
        wait_until(lambda: row(broker_only, "meanwhile").sent, what="sending what was called meanwhile")
        with station.client() as client:
            ts = datetime.now(UTC).isoformat()
            client.publish(f"dr/{NETWORK}/station/house-1/online", {"v": 1, "online": True, "ts": ts}, retain=True)
            topic = f"dr/{NETWORK}/station/house-1/event"
            wait_until(lambda: len({read_id(broker_only, heard.payload) for heard in client.on(topic)}) == 2, what="both events")
            for event_id in ("before", "meanwhile"):
                answer = {"v": 1, "id": event_id, "revision": 0, "status": "ongoing", "ts": ts}
                client.publish(f"dr/{NETWORK}/station/house-1/answer", json.dumps(answer))
            wait_until(lambda: row(broker_only, "before").ongoing == row(broker_only, "meanwhile").ongoing == 1, what="both answers")
    finally:
        broker_only.close()


def row(one: Aggregator, event_id: str) -> fleet.EventRow:
    return one.read(lambda connection: fleet.events(connection, event_id=event_id))[0]


def read_id(one: Aggregator, payload: bytes) -> str:
    key = public_key(one.context.public_key())
    return AggregatorEvent.model_validate_json(verify(payload, {one.file.key_id: key}).payload).id


def test_who_was_online_before_the_broker_died_is_unknown_until_it_says_so_again(tmp_path: Path) -> None:
    with aggregator(tmp_path) as one:
        station = one.enrol("house-1")
        said = {"v": 1, "online": True, "ts": datetime.now(UTC).isoformat()}
        with station.client() as client:
            client.publish(f"dr/{NETWORK}/station/house-1/online", said, retain=True)
            wait_until(lambda: online(one) is True, what="online")
            one.kill_broker()
            wait_until(lambda: online(one) is None, 15, what="that nobody knows")
        station.wait_admitted()
        with station.client() as client:
            client.publish(f"dr/{NETWORK}/station/house-1/online", said, retain=True)
            wait_until(lambda: online(one) is True, 15, what="online again")


def online(one: Aggregator) -> bool | None:
    return one.read(lambda connection: fleet.stations(connection, datetime.now(UTC)))[0].online
