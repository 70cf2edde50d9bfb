"""The aggregator as a process, with its real broker: events out, answers and data in, and nobody in whom it does not know."""

import contextlib
import gzip
import json
import re
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select

from services.aggregator.calling import Typed
from services.aggregator.store import fleet
from services.aggregator.store.schema import record
from services.bus.heartbeat import verdict
from services.bus.uplink import old_form
from services.bus.uplink.batches import MAX_BODY_BYTES, batches_path, stations_path
from services.bus.uplink.messages import AggregatorEvent
from services.bus.uplink.request_signature import SIGNATURE, TIMESTAMP
from services.bus.uplink.signing import public_key, verify
from services.bus.uplink.topics import NetworkTopics
from tests.support.aggregator import NETWORK, Aggregator, aggregator, event_batch, hour_batch
from tests.support.ports import free_port
from tests.support.postgres import postgres
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aggregator]:
    with aggregator(tmp_path_factory.mktemp("aggregator"), api={"batches_per_minute": 10_000}) as one:
        yield one


def now_text(**shift: float) -> str:
    return (datetime.now(UTC) + timedelta(**shift)).isoformat()


def event_on(running: Aggregator, payload: bytes) -> AggregatorEvent:
    key = public_key(running.context.public_key())
    return AggregatorEvent.model_validate_json(verify(payload, {running.file.key_id: key}).payload)


def row_of(running: Aggregator, event_id: str) -> fleet.EventRow:
    return running.read(lambda connection: fleet.events(connection, event_id=event_id))[0]


def test_an_event_reaches_every_station_signed_and_its_answer_comes_back(running: Aggregator) -> None:
    station = running.enrol("house-1")
    with station.client() as client:
        running.desk.call(Typed("now", "PT1H", "pledge", "150", notice="heat wave"), "to-all")
        topic = f"dr/{NETWORK}/event"
        heard = wait_until(lambda: client.on(topic), what="the event")[0]
        event = event_on(running, heard.payload)
        assert (event.id, event.network, event.notice) == ("to-all", NETWORK, "heat wave")
        assert event.goal is not None
        assert event.goal.reduction_w == 150
        client.publish(
            f"dr/{NETWORK}/station/house-1/answer", {"v": 1, "id": "to-all", "revision": 0, "status": "ongoing", "ts": now_text()}
        )
        wait_until(lambda: row_of(running, "to-all").ongoing == 1, what="the answer")
    row = row_of(running, "to-all")
    assert (row.answered, row.takes_part) == (1, 1)


def test_prometheus_reads_what_came_and_went(tmp_path: Path) -> None:
    port = free_port()
    with aggregator(tmp_path, environment={"SPS_METRICS_PORT": str(port)}) as running:

        def value(name: str, **labels: str) -> float | None:
            found = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
            return {
                (one.name, tuple(one.labels.items())): one.value
                for family in text_string_to_metric_families(found)
                for one in family.samples
            }.get((f"sps_aggregator_{name}", tuple(labels.items())))

        assert value("broker_connected") == 1
        station = running.enrol("house")
        assert station.post(hour_batch(1, 2)).status_code == 200
        assert station.post(hour_batch(1, 2)).json()["duplicate"] is True
        assert station.post(hour_batch(3), Authorization="Bearer wrong").status_code == 401
        assert value("batches_total", kind="hourly", outcome="new") == 1
        assert value("batches_total", kind="hourly", outcome="duplicate") == 1
        assert value("records_total", kind="hourly") == 2
        assert value("requests_refused_total", status="401") == 1
        running.desk.call(Typed("now", "PT1H"), "counted")
        wait_until(lambda: value("events_sent_total") == 1, what="the event to be counted")
        with station.client() as client:
            client.publish(f"dr/{NETWORK}/station/house/online", {"v": 1, "online": True, "ts": now_text()}, retain=True)
            client.publish(
                f"dr/{NETWORK}/station/house/answer", {"v": 1, "id": "counted", "revision": 0, "status": "scheduled", "ts": now_text()}
            )
            wait_until(lambda: value("answers_total") == 1, what="the answer to be counted")
            assert value("stations_online") == 1


def test_amending_and_cancelling_go_out_with_a_higher_revision(running: Aggregator) -> None:
    station = running.enrol("house-2")
    with station.client() as client:
        running.desk.call(Typed("now", "PT1H", stations=("house-2",)), "changing")
        running.desk.amend("changing", Typed("", "PT2H"))
        running.desk.cancel("changing")
        topic = f"dr/{NETWORK}/station/house-2/event"
        wait_until(lambda: client.on(topic) and event_on(running, client.on(topic)[-1].payload).action == "cancel", what="the cancellation")
        last = event_on(running, client.on(topic)[-1].payload)
        assert (last.revision, last.station) == (2, "house-2")
        assert client.on(f"dr/{NETWORK}/event") == [] or all(
            event_on(running, one.payload).id != "changing" for one in client.on(f"dr/{NETWORK}/event")
        )


def test_a_station_can_neither_read_nor_write_what_is_another_ones(running: Aggregator) -> None:
    mine, theirs = running.enrol("house-3"), running.enrol("house-4")
    running.desk.call(Typed("now", "PT1H", stations=("house-3", "house-4")), "both")
    with mine.client() as client:
        wait_until(lambda: client.on(f"dr/{NETWORK}/station/house-3/event"), what="my event")
        client.publish(
            f"dr/{NETWORK}/station/house-4/answer", {"v": 1, "id": "both", "revision": 0, "status": "opted_out", "ts": now_text()}
        )
        client.publish(f"dr/{NETWORK}/event", "{}")
        client.publish(
            f"dr/{NETWORK}/station/house-3/answer", {"v": 1, "id": "both", "revision": 0, "status": "scheduled", "ts": now_text()}
        )
        wait_until(lambda: row_of(running, "both").answered, what="my answer")
        assert all("house-4" not in heard.topic for heard in client.heard)
        assert all(heard.payload != b"{}" for heard in client.heard)
    assert row_of(running, "both").out == 0
    assert theirs.mqtt != mine.mqtt


def test_nobody_takes_the_place_of_another_by_its_client_id(running: Aggregator) -> None:
    victim, rogue = running.enrol("house-victim"), running.enrol("house-rogue")
    its_id = NetworkTopics(NETWORK).client_id("house-victim")
    running.desk.call(Typed("now", "PT1H", stations=("house-victim",)), "undisturbed")
    with victim.client(its_id) as client:
        for taken in (its_id, "house-victim", f"sps-aggregator-{NETWORK}", "aggregator"):
            with rogue.client(taken) as other:
                # In and heard, and thus past the moment at which a broker puts out who was there before.
                other.publish(f"dr/{NETWORK}/station/house-rogue/online", "", retain=True)
        answer = {"v": 1, "id": "undisturbed", "revision": 0, "status": "ongoing", "ts": now_text()}
        client.publish(f"dr/{NETWORK}/station/house-victim/answer", answer)
        wait_until(lambda: row_of(running, "undisturbed").ongoing == 1, what="the answer")
        assert not client.lost.is_set()
    assert running.ready()
    # Its own second connection takes the place of its first.
    with victim.client() as first, victim.client():
        wait_until(first.lost.is_set, what="the first one's end")


def test_a_withdrawn_station_comes_in_no_more(running: Aggregator) -> None:
    station = running.enrol("house-5")
    assert station.post(hour_batch(1)).status_code == 200
    assert running.desk.withdraw("house-5")
    wait_until(lambda: station.post(hour_batch(2), "key-00000002").status_code == 401, 10, what="its exclusion from the API")

    def refused() -> bool:
        try:
            with station.client():
                return False
        except ConnectionError:
            return True

    wait_until(refused, 10, what="its exclusion from the broker")
    again = running.enrol("house-5")
    assert again.http != station.http
    assert again.post(hour_batch(2), "key-00000003").status_code == 200


def test_presence_is_shown_and_what_was_missed_is_sent_again(running: Aggregator) -> None:
    station = running.enrol("house-6")
    running.desk.call(Typed("now", "PT1H", stations=("house-6",)), "missed")
    wait_until(lambda: row_of(running, "missed").sent, what="sending")
    with station.client() as client:
        client.publish(f"dr/{NETWORK}/station/house-6/online", {"v": 1, "online": True, "ts": now_text()}, retain=True)
        topic = f"dr/{NETWORK}/station/house-6/event"
        wait_until(lambda: client.on(topic), what="the event, once it is back")
        client.publish(f"dr/{NETWORK}/station/house-6/online", {"v": 1, "online": False, "ts": now_text()}, retain=True)
        client.publish(f"dr/{NETWORK}/station/house-6/online", {"v": 1, "online": True, "ts": now_text()}, retain=True)
        wait_until(lambda: len(client.on(topic)) >= 2, what="the event again")
        # Sent again it is the same revision, and no replay: its nonce is new.
        one, two = (event_on(running, heard.payload) for heard in client.on(topic)[:2])
        assert (one.revision, one.nonce != two.nonce) == (two.revision, True)
        wait_until(lambda: online(running, "house-6") is True, what="online")
        client.publish(f"dr/{NETWORK}/station/house-6/online", "", retain=True)
        wait_until(lambda: online(running, "house-6") is None, what="that it no longer says")


def online(running: Aggregator, name: str) -> bool | None:
    now = datetime.now(UTC)
    return {row.name: row.online for row in running.read(lambda connection: fleet.stations(connection, now, limit=1000))}[name]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"v":2}',
        b'{"v":1,"id":"x#","revision":0,"status":"scheduled"}',
        b"x" * 20_000,
        b'{"v":1,"id":"to-all","revision":99999999999999999999,"status":"ongoing","online":true,"ts":"2026-06-01T00:00:00Z"}',
        b'{"v":1,"id":"to-all","revision":0,"status":"ongoing","online":true,"ts":"9999-12-31T23:59:59.9999Z"}',
        b'{"v":1,"id":"to-all","revision":0,"status":"ongoing","online":true,"ts":"0001-01-01T00:00:00+14:00"}',
    ],
)
def test_bad_answers_are_passed_over_and_good_ones_still_come(running: Aggregator, payload: bytes) -> None:
    station = running.enrol("house-7")
    event_id = f"after-bad-{zlib.crc32(payload)}"
    running.desk.call(Typed("now", "PT1H", stations=("house-7",)), event_id)
    with station.client() as client:
        client.publish(f"dr/{NETWORK}/station/house-7/answer", payload)
        client.publish(f"dr/{NETWORK}/station/house-7/online", payload)
        client.publish(
            f"dr/{NETWORK}/station/house-7/answer", {"v": 1, "id": "nobody-called-it", "revision": 0, "status": "ongoing", "ts": now_text()}
        )
        client.publish(
            f"dr/{NETWORK}/station/house-7/answer", {"v": 1, "id": event_id, "revision": 0, "status": "opted_out", "ts": now_text()}
        )
        wait_until(lambda: row_of(running, event_id).out == 1, what="the good answer")


def test_one_answer_that_cannot_be_kept_stops_no_other(tmp_path: Path) -> None:
    with aggregator(tmp_path) as one:
        bad, good = one.enrol("bad-house"), one.enrol("good-house")
        one.desk.call(Typed("now", "PT1H"), "asked")
        with one.desk.engine.execution_options(writes=True).begin() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER never BEFORE INSERT ON answer WHEN NEW.station = 'bad-house' BEGIN SELECT RAISE(ABORT, 'never'); END"
            )
        answer = {"v": 1, "id": "asked", "revision": 0, "status": "ongoing", "ts": now_text()}
        with bad.client() as first, good.client() as second:
            for _ in range(20):
                first.publish(f"dr/{NETWORK}/station/bad-house/answer", answer)
            second.publish(f"dr/{NETWORK}/station/good-house/answer", answer)
            wait_until(lambda: row_of(one, "asked").ongoing == 1, 15, what="the good answer")
        assert "cannot be kept" in one.log.read_text(encoding="utf-8")


def test_a_batch_is_stored_once_however_often_it_comes(running: Aggregator) -> None:
    station = running.enrol("house-8")
    assert station.post(hour_batch(1, 2, 3)).json() == {"accepted": 3, "duplicate": False}
    assert station.post(hour_batch(1, 2, 3)).json() == {"accepted": 3, "duplicate": True}
    assert station.post(hour_batch(4)).status_code == 409
    # The same hours under another key: late readings made them anew.
    assert station.post(hour_batch(3, 4), "key-00000002").json() == {"accepted": 2, "duplicate": False}
    assert count(running, "house-8") == 4


def count(running: Aggregator, name: str) -> int:
    return int(running.read(lambda connection: connection.execute(select(func.count()).where(record.c.station == name)).scalar_one()))


def test_late_figures_of_an_event_never_take_the_place_of_later_ones(running: Aggregator) -> None:
    station = running.enrol("house-9")
    running.desk.call(Typed("now", "PT1H"), "settling")
    for number, (figures, reduction_wh) in enumerate([(1, 130.0), (0, 120.0), (2, 140.0)]):
        batch = event_batch("settling", reduction_wh=reduction_wh, figures_revision=figures)
        assert station.post(batch, f"settle-{number:08d}").status_code == 200
    settled = running.read(lambda connection: list(fleet.settlements(connection, "settling")))
    assert [one.body["reduction_wh"] for one in settled] == [140.0]


def test_a_signature_takes_the_place_of_the_token(running: Aggregator) -> None:
    station, other = running.enrol("house-10"), running.enrol("house-11")
    body = json.dumps(hour_batch(1)).encode()
    assert station.signed(body).status_code == 200
    assert station.signed(body, at=time.time() - 301).status_code == 401
    assert station.signed(body, secret=other.http).status_code == 401
    assert station.signed(body, path=f"/v1/stations/{other.name}/batches").status_code == 401
    assert station.post(hour_batch(1), Authorization=f"Bearer {other.http}").status_code == 401
    assert station.post(hour_batch(1), Authorization="Bearer").status_code == 401


def refusals(running: Aggregator) -> dict[str, requests.Response]:
    station = running.enrol("house-12")
    bomb = gzip.compress(b"0" * (MAX_BODY_BYTES + 1))
    whole = gzip.compress(json.dumps(hour_batch(1)).encode())
    packed = {"Content_Encoding": "gzip"}
    registration = {"v": 1, "network": NETWORK, "level": "event"}
    return {
        "not json": station.post(b"nonsense"),
        "a list": station.post([1, 2]),
        "another network": station.post(hour_batch(1, network="elsewhere")),
        "an unknown kind": station.post(hour_batch(1) | {"kind": "secrets"}),
        "an unknown field": station.post(hour_batch(1) | {"more": 1}),
        "a wrong type": station.post(hour_batch(1) | {"records": [{"start": "2026-06-01T00:00:00Z", "p1_wh": "much"}]}),
        "no time zone": station.post(hour_batch(1) | {"records": [{"start": "2026-06-01T00:00:00"}]}),
        "infinity": station.post(json.dumps(hour_batch(1)).replace("101.0", "Infinity").encode()),
        "too many records": station.post(hour_batch(*range(5001))),
        "a bad key": station.post(hour_batch(1), key="short"),
        "cut short": station.post(whole[:-9], packed=False, **packed),
        "not gzip": station.post(b"nonsense", packed=False, **packed),
        "a bomb": station.post(bomb, packed=False, **packed),
        "huge": station.post(b"0" * 4_000_001, packed=False),
        "another encoding": station.post(b"{}", packed=False, Content_Encoding="br"),
        "another type": station.post(hour_batch(1), Content_Type="text/plain"),
        "deeply nested": station.post(b"[" * 10_000, packed=True),
        "many intervals": station.post(event_batch("e1", intervals=[{"start": 0, "end": 0}] * 1501)),
        "very many intervals": station.post(event_batch("e1", intervals=[{"start": 0, "end": 0}] * 120_000)),
        "very many lists": station.post(b"[" + b"[]," * 1_000_000 + b"[]]"),
        "very many values": station.post(b"[" + b"1," * 1_000_000 + b"1]"),
        "a long id": station.post(event_batch("e" * 65)),
        "an id with NUL": station.post(event_batch("e\0")),
        "a long word": station.post(event_batch("e1", baseline_method="x" * 41)),
        "a word with NUL": station.post(event_batch("e1", baseline_method="x\0")),
        "beyond any household": station.post(event_batch("e1", reduction_wh=1e308)),
        "a negative revision": station.post(event_batch("e1", revision=-1)),
        "negative figures": station.post(event_batch("e1", figures_revision=-1)),
        "a time that cannot be read back": station.post(event_batch("e1", end="9999-12-31T23:59:59.9999Z")),
        "a time that UTC does not have": station.post(event_batch("e1", start="0001-01-01T00:00:00+14:00")),
        "a programme of megabytes": station.put(registration | {"programme": "x" * 7_000_000}),
        "a long programme": station.put(registration | {"programme": "x" * 41}),
        "a programme with NUL": station.put(registration | {"programme": "x\0"}),
        "a pledge beyond any household": station.put(registration | {"pledge_w": 1e308}),
    }  # fmt: skip


def test_bad_batches_are_refused_by_name_and_nothing_of_them_is_kept(running: Aggregator) -> None:
    found = {what: answer.status_code for what, answer in refusals(running).items()}
    assert found == {
        "not json": 400, "a list": 422, "another network": 422, "an unknown kind": 422, "an unknown field": 422, "a wrong type": 422,
        "no time zone": 422, "infinity": 422, "too many records": 422, "a bad key": 422, "cut short": 400, "not gzip": 400, "a bomb": 413,
        "huge": 413, "another encoding": 400, "another type": 415, "deeply nested": 400,
        "many intervals": 422, "very many intervals": 413, "very many lists": 413, "very many values": 413, "a long id": 422,
        "an id with NUL": 422, "a long word": 422, "a word with NUL": 422, "beyond any household": 422, "a negative revision": 422,
        "negative figures": 422, "a time that cannot be read back": 422, "a time that UTC does not have": 422,
        "a programme of megabytes": 413, "a long programme": 422, "a programme with NUL": 422, "a pledge beyond any household": 422,
    }  # fmt: skip
    assert count(running, "house-12") == 0
    wrong = running.enrol("house-12").post(hour_batch(1) | {"records": [{"start": "2026-06-01T00:00:00Z", "p1_wh": "much"}]}).json()
    assert "p1_wh" in wrong["field"]


def test_who_is_not_known_is_refused_before_the_body_is_read(running: Aggregator) -> None:
    station = running.enrol("house-unread")
    for shown in ({"Authorization": "Bearer wrong"}, {SIGNATURE: "v1=00", TIMESTAMP: "1000000000"}):
        with socket.create_connection(("127.0.0.1", running.file.api.port), 10) as bare:
            said = {"Host": "x", "Idempotency-Key": "unread-00000001", "Content-Length": "4000000", **shown}
            head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
            bare.sendall(f"POST {batches_path(station.name)} HTTP/1.1\r\n{head}\r\n".encode())
            assert bare.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_senders_that_never_finish_do_not_keep_out_those_that_are_known(running: Aggregator) -> None:
    station = running.enrol("house-patient")
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            bare = stack.enter_context(socket.create_connection(("127.0.0.1", running.file.api.port), 10))
            said = {"Host": "x", "Idempotency-Key": "slow-00000001", "Content-Length": "4000000", SIGNATURE: "v1=00"}
            said[TIMESTAMP] = f"{time.time():.0f}"
            head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
            bare.sendall(f"POST {batches_path(station.name)} HTTP/1.1\r\n{head}\r\n".encode())
        assert station.post(hour_batch(*range(1000)), packed=False).status_code == 200


def peak_kb(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1])


def test_large_batches_all_at_once_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    with aggregator(tmp_path, api={"batches_per_minute": 10_000}) as one:
        station = one.enrol("many")
        # What costs most and is taken: as many objects as may be, in few bytes.
        records = [{"id": f"e{n}", "revision": 0, "start": 0, "end": 0, "intervals": [{"start": 0, "end": 0}] * 1_400} for n in range(14)]
        body = json.dumps({"v": 1, "network": NETWORK, "kind": "event", "cursor": "x", "records": records}).encode()
        assert station.post(body, "large-00000000").status_code == 200
        before_kb = peak_kb(one.pid)
        with ThreadPoolExecutor(12) as pool:
            codes = list(pool.map(lambda n: station.post(body, f"large-{n:08d}").status_code, range(1, 37)))
        assert set(codes) <= {200, 503}
        assert codes.count(200) > 12
        assert peak_kb(one.pid) - before_kb < 60_000


def test_a_person_can_have_everything_deleted_and_gets_it_signed(running: Aggregator) -> None:
    station = running.enrol("house-13")
    station.put({"v": 1, "network": NETWORK, "level": "hourly", "capacity_wh": 1152.0, "pledge_w": 150.0})
    station.post(hour_batch(1, 2, 3))
    asked = station.delete()
    assert asked.status_code == 202
    path = f"/deletions/{asked.json()['deletion']}"
    state = wait_until(lambda: (found := station.get(path).json())["done"] and found, what="the deletion")
    key = public_key(running.context.public_key())
    receipt = json.loads(verify(state["receipt"].encode(), {running.file.key_id: key}).payload)
    assert (receipt["station"], receipt["deleted"]["records"], receipt["left"]) == ("house-13", {"hourly": 3}, 0)
    # A retry that was under way brings nothing back.
    assert station.post(hour_batch(1, 2, 3)).json()["duplicate"] is True
    assert count(running, "house-13") == 0
    assert running.enrol("house-14").get(path).status_code == 404
    assert not in_files(running, b"1152")


def test_who_was_withdrawn_can_still_have_everything_deleted(running: Aggregator) -> None:
    former = running.enrol("house-former")
    running.desk.enrol(["house-former"], renew=True)
    station = running.enrol("house-former")
    assert station.post(hour_batch(1, 2)).status_code == 200
    running.desk.withdraw("house-former")
    wait_until(lambda: station.post(hour_batch(3), "key-00000002").status_code == 401, 10, what="its exclusion")
    assert station.put({"v": 1, "network": NETWORK, "level": "event"}).status_code == 401
    assert former.delete().status_code == 401, "only its last secret holds"
    asked = station.delete()
    assert asked.status_code == 202
    wait_until(lambda: station.get(f"/deletions/{asked.json()['deletion']}").json()["done"], what="the receipt")
    assert count(running, "house-former") == 0


def in_files(running: Aggregator, what: bytes) -> bool:
    return any(what in path.read_bytes() for path in running.context.state.glob("aggregator.db*"))


def test_a_receipt_waits_until_nobody_reads_what_was_deleted(tmp_path: Path) -> None:
    with aggregator(tmp_path) as one:
        station = one.enrol("house-1")
        assert station.put({"v": 1, "network": NETWORK, "level": "event", "programme": "to-be-deleted"}).status_code == 200
        with one.desk.engine.connect() as reader:
            assert reader.execute(select(func.count()).select_from(record)).scalar_one() == 0
            path = f"/deletions/{station.delete().json()['deletion']}"
            wait_until(lambda: "its receipt waits" in one.log.read_text(encoding="utf-8"), what="the wait")
            assert station.get(path).json() == {"done": False, "receipt": None}
            assert in_files(one, b"to-be-deleted")
            one.kill()
        # The log that the kill left is emptied at the start, and the counts are those of before.
        one.start()
        state = wait_until(lambda: (found := station.get(path).json())["done"] and found, what="the receipt")
        assert not in_files(one, b"to-be-deleted")
        assert verify(state["receipt"].encode(), {one.file.key_id: public_key(one.context.public_key())})


def test_who_sends_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with aggregator(tmp_path, api={"batches_per_minute": 5}) as one:
        station = one.enrol("eager")
        answers = [station.post(hour_batch(number), f"key-{number:08d}") for number in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 12
        failures = [requests.delete(f"{one.url}/v1/stations/nobody/data", timeout=5).status_code for _ in range(32)]
        assert failures[0] == 401
        assert failures[-1] == 429
        assert one.enrol("calm").post(hour_batch(1)).status_code == 200


def test_the_same_with_postgresql(tmp_path: Path) -> None:
    with postgres(tmp_path) as server, aggregator(tmp_path, database=server.fresh()) as one:
        station = one.enrol("house-1")
        assert station.post(hour_batch(1, 2, 3)).json() == {"accepted": 3, "duplicate": False}
        assert station.post(hour_batch(1, 2, 3)).json()["duplicate"] is True
        with station.client() as client:
            one.desk.call(Typed("now", "PT1H"), "in-postgres")
            wait_until(lambda: client.on(f"dr/{NETWORK}/event"), what="the event")
            answer = {"v": 1, "id": "in-postgres", "revision": 0, "status": "ongoing", "ts": now_text()}
            client.publish(f"dr/{NETWORK}/station/house-1/answer", answer)
            wait_until(lambda: row_of(one, "in-postgres").ongoing == 1, what="its answer")
        with one.desk.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE station ALTER programme TYPE varchar(3)")
        refused = station.put({"v": 1, "network": NETWORK, "level": "event", "programme": "too-long"})
        assert (refused.status_code, "Retry-After" in refused.headers) == (422, False), "it would never be taken"
        server.stop()
        refused = station.post(hour_batch(4), "key-00000002")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        server.serve()
        wait_until(lambda: station.post(hour_batch(4), "key-00000002").status_code == 200, 20, what="the database's return")
        assert count(one, "house-1") == 4
        assert "in-postgres" in requests.get(one.page, timeout=10).text


def test_the_older_form_goes_out_and_comes_back(tmp_path: Path) -> None:
    with aggregator(tmp_path, old_form=True, timezone="Europe/Paris") as one:
        station = one.enrol("old-house")
        with station.client() as client:
            one.desk.call(Typed("now", "PT1H", programme="csrp"), "in-both-forms")
            heard = wait_until(lambda: client.on(f"OpenDemandResponse/Event/{NETWORK}"), what="the older form")[0]
            event = old_form.parse(heard.payload, one.file.zone)
            assert event.immediate
            client.publish(f"OpenDemandResponse/Participant/{station.name}", f"{event.id}#ongoing#2026-06-01 16:00:00#2026-06-01 16:00:00")
            wait_until(lambda: row_of(one, "in-both-forms").ongoing == 1, what="its answer")


def test_the_older_form_knows_no_amendment_and_is_sent_none(tmp_path: Path) -> None:
    with aggregator(tmp_path, old_form=True) as one:
        station = one.enrol("old-house")
        with station.client() as client:
            tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            one.desk.call(Typed(tomorrow, "PT1H"), "amended")
            wait_until(lambda: client.on(f"OpenDemandResponse/Event/{NETWORK}"), what="the older form")
            # It has begun when it is amended: by the time of sending alone it would be of another kind, and so another event.
            one.desk.amend("amended", Typed("now", "PT2H"))
            wait_until(lambda: len(client.on(f"dr/{NETWORK}/event")) == 2, what="the amendment")
            heard = client.on(f"OpenDemandResponse/Event/{NETWORK}")[0]
            client.publish(
                f"OpenDemandResponse/Participant/{station.name}",
                f"{old_form.parse(heard.payload, one.file.zone).id}#opted_out#2026-06-01 16:00:00#2026-06-01 16:00:00",
            )
            wait_until(lambda: row_of(one, "amended").out == 1, what="its answer")
            one.desk.cancel("amended")
            wait_until(lambda: len(client.on(f"dr/{NETWORK}/event")) == 3, what="the cancellation")
            assert client.on(f"OpenDemandResponse/Event/{NETWORK}") == [heard]


def rename(running: Aggregator, table: str, name: str) -> None:
    with running.desk.engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}")


def test_a_database_that_fails_for_a_while_costs_no_reminder_and_no_presence(tmp_path: Path) -> None:
    with aggregator(tmp_path) as one:
        station = one.enrol("house-1")
        one.desk.call(Typed("now", "PT1H", stations=("house-1",)), "missed")
        wait_until(lambda: row_of(one, "missed").sent, what="sending")
        with station.client() as client:
            rename(one, "answer", "away")
            client.publish(f"dr/{NETWORK}/station/house-1/online", {"v": 1, "online": True, "ts": now_text()}, retain=True)
            wait_until(lambda: "could not be kept" in one.log.read_text(encoding="utf-8"), what="the failure")
            assert client.on(f"dr/{NETWORK}/station/house-1/event") == []
            rename(one, "away", "answer")
            wait_until(lambda: client.on(f"dr/{NETWORK}/station/house-1/event"), what="the event that was missed")
        wait_until(lambda: online(one, "house-1") is True, what="online")
        rename(one, "station", "away")
        one.kill_broker()
        wait_until(lambda: "presence cannot be forgotten" in one.log.read_text(encoding="utf-8"), 15, what="the failure")
        rename(one, "away", "station")
        wait_until(lambda: online(one, "house-1") is None, 15, what="that nobody knows")


def test_it_beats_while_its_broker_hears_it_and_no_second_one_takes_its_state(running: Aggregator) -> None:
    wait_until(lambda: verdict("aggregator", running.var)[0], 20, what="a heartbeat")
    assert json.loads((running.context.state / "format.json").read_text(encoding="utf-8"))["format"] == 1
    command = [sys.executable, "-m", "services.aggregator", "--config", str(running.path), "--var", str(running.var)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "another sps is running" in second.stderr
    assert "Traceback" not in second.stderr


def test_beyond_loopback_its_page_asks_for_a_password_and_its_api_for_a_token(tmp_path: Path) -> None:
    placed = {"SPS_AGGREGATOR_PAGE_HOST": "0.0.0.0", "SPS_AGGREGATOR_API_HOST": "0.0.0.0"}
    with aggregator(tmp_path, environment=placed) as one:
        assert requests.get(one.page, timeout=5).url == f"{one.page}/login"
        assert len((one.context.secrets / "aggregator/first-password").read_text(encoding="utf-8").strip()) > 12
        assert one.enrol("house-1").put({}).status_code != 401
        assert requests.put(f"{one.url}{stations_path('house-1')}", json={}, timeout=5).status_code == 401


def test_state_that_a_later_version_wrote_is_left_alone(tmp_path: Path) -> None:
    one = Aggregator(tmp_path)
    (one.context.state / "format.json").write_text('{"format": 99, "software": "9.9"}', encoding="utf-8")
    command = [sys.executable, "-m", "services.aggregator", "--config", str(one.path), "--var", str(one.var)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    one.close()
    assert refused.returncode == 1
    assert "was written by version 9.9" in refused.stderr
