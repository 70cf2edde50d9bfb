"""The tables, in SQLite and in a real PostgreSQL: the same answers from both."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, select

from services.aggregator.store import answers, deletion, events, fleet, ingest, stations
from services.aggregator.store.database import StoreError, open_database
from services.aggregator.store.events import Called
from services.aggregator.store.schema import record
from services.aggregator.store.writer import Writer
from services.bus.uplink.batches import EventBatch, EventRecord, HourBatch, HourRecord, Registration
from services.bus.uplink.messages import Answer
from services.core.events import BadValue, EventStatus
from tests.support.postgres import Postgres, postgres
from tests.support.waiting import wait_until

NOW = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = request.getfixturevalue("server").fresh() if request.param == "postgresql" else ""
    made = open_database(url, None, tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        stations.enrol(connection, ["a", "b"], NOW)
        yield connection


def event(event_id: str = "one", **more: object) -> Called:
    made = Called(event_id, 0, NOW, NOW + timedelta(hours=1), NOW)
    return replace(made, **more)  # type: ignore[arg-type]


def heard(name: str, status: EventStatus, *, revision: int = 0, at_s: float = 0, event_id: str = "one") -> answers.Heard:
    ts = NOW + timedelta(seconds=at_s)
    return answers.Heard(name, Answer(id=event_id, revision=revision, status=status, ts=ts), ts)


def submitted(*hours: int, key: str = "key-00000001", at: str = "a") -> ingest.Submitted:
    records = tuple(HourRecord(start=NOW + timedelta(hours=hour), p1_wh=float(hour)) for hour in hours)
    digest = hashlib.sha256(repr(records).encode()).hexdigest()
    return ingest.Submitted(at, key, digest, HourBatch(kind="hourly", network="n", cursor="1", records=records), NOW)


def settle(connection: Connection, name: str, event_id: str, reduction_wh: float) -> None:
    one = EventRecord(
        id=event_id, revision=0, start=NOW, end=NOW + timedelta(hours=1), baseline_wh=500.0, reduction_wh=reduction_wh, final=True
    )
    body = EventBatch(kind="event", network="n", cursor=event_id, records=(one,))
    ingest.take(connection, ingest.Submitted(name, f"settle-{event_id}", event_id, body, NOW))


def records(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(record)).scalar_one()


def test_a_batch_counts_once_and_a_key_stands_for_one_body(connection: Connection) -> None:
    assert not ingest.take(connection, submitted(1, 2)).duplicate
    assert ingest.take(connection, submitted(1, 2)).duplicate
    assert records(connection) == 2
    with pytest.raises(ingest.KeyReused):
        ingest.take(connection, submitted(1, 3))
    # Another station's key of the same name is another key.
    assert not ingest.take(connection, submitted(1, 2, at="b")).duplicate
    assert records(connection) == 4


def test_answers_in_any_order_leave_the_latest(connection: Connection) -> None:
    events.call(connection, event())
    said = [heard("a", EventStatus.ONGOING, at_s=2), heard("a", EventStatus.SCHEDULED, at_s=1), heard("b", EventStatus.OPTED_OUT)]
    assert answers.keep(connection, said) == []
    answers.keep(connection, [heard("a", EventStatus.SCHEDULED, at_s=1), heard("b", EventStatus.SCHEDULED, at_s=9)])
    row = fleet.events(connection)[0]
    assert (row.asked, row.answered, row.ongoing, row.out, row.takes_part) == (2, 2, 1, 0, 2)
    strange = [heard("nobody", EventStatus.ONGOING), heard("a", EventStatus.ONGOING, event_id="unknown")]
    assert answers.keep(connection, strange) == strange


def test_an_answer_to_an_older_revision_does_not_count_for_the_newer(connection: Connection) -> None:
    events.call(connection, event())
    answers.keep(connection, [heard("a", EventStatus.SCHEDULED)])
    events.call(connection, event(end=NOW + timedelta(hours=2)))
    assert fleet.events(connection)[0].answered == 0
    answers.keep(connection, [heard("a", EventStatus.SCHEDULED, revision=1, at_s=-5)])
    assert fleet.events(connection)[0].answered == 1


def test_a_cancellation_is_answered_with_the_revision_that_ended(connection: Connection) -> None:
    events.call(connection, event())
    answers.keep(connection, [heard("a", EventStatus.SCHEDULED)])
    events.call(connection, event(cancelled=True))
    assert fleet.events(connection)[0].answered == 0
    assert [name for name, _ in events.unanswered(connection, ["a", "b"], NOW)] == ["a", "b"]
    answers.keep(connection, [heard("a", EventStatus.CANCELLED, at_s=5)])
    assert fleet.events(connection)[0].answered == 1
    assert [name for name, _ in events.unanswered(connection, ["a", "b"], NOW)] == ["b"]


def test_what_is_over_or_cancelled_cannot_be_changed(connection: Connection) -> None:
    events.call(connection, event())
    with pytest.raises(BadValue, match="to whom"):
        events.call(connection, event(stations=("a",)))
    assert events.call(connection, event(cancelled=True)).revision == 1
    with pytest.raises(BadValue, match="cancelled"):
        events.call(connection, event())
    events.call(connection, event("early"))
    with pytest.raises(BadValue, match="over"):
        events.call(connection, event("early", ts=NOW + timedelta(hours=1)))


def test_two_who_change_an_event_at_once_make_two_revisions(server: Postgres, tmp_path: Path) -> None:
    engine = open_database(server.fresh(), None, tmp_path)

    def change() -> int:
        with engine.begin() as second:
            return events.call(second, event(notice="second")).revision

    with engine.begin() as connection:
        events.call(connection, event())
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as first:
            assert events.call(first, event(notice="first")).revision == 1
            changed = pool.submit(change)
            with engine.connect() as third:
                wait_until(lambda: third.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar(), what="the second")
        assert changed.result(10) == 2
    engine.dispose()


def test_an_event_waits_until_it_was_sent_in_its_latest_revision(connection: Connection) -> None:
    events.call(connection, event(stations=("b",)))
    assert [one.stations for one in events.unsent(connection)] == [("b",)]
    events.sent(connection, "one", 0)
    assert events.unsent(connection) == []
    events.call(connection, event(stations=("b",), notice="new"))
    assert [one.notice for one in events.unsent(connection)] == ["new"]
    assert [name for name, _ in events.unanswered(connection, ["a", "b"], NOW)] == ["b"]
    answers.keep(connection, [heard("b", EventStatus.SCHEDULED, revision=1)])
    assert events.unanswered(connection, ["a", "b"], NOW) == []


def test_a_deletion_takes_everything_of_one_station_and_nothing_of_another(connection: Connection) -> None:
    events.call(connection, event())
    for name in ("a", "b"):
        stations.register(connection, name, Registration(network="n", level="hourly", capacity_wh=1152.0), NOW)
        ingest.take(connection, submitted(1, 2, at=name))
        answers.keep(connection, [heard(name, EventStatus.SCHEDULED)])
    deletion.request(connection, "d1", "a", NOW)
    assert deletion.due(connection) == ["d1"]
    done = deletion.remove(connection, "d1")
    assert (done.records, done.answers, done.left) == ({"hourly": 2}, 1, 0)
    # What a restart finds is the same, though nothing is there to be counted any more; and without a receipt.
    assert deletion.remove(connection, "d1") == done
    assert (deletion.due(connection), deletion.receipt_of(connection, "a", "d1")) == (["d1"], (True, None))
    deletion.prove(connection, "d1", NOW, "receipt for a")
    assert deletion.due(connection) == []
    assert deletion.receipt_of(connection, "a", "d1") == (True, "receipt for a")
    assert deletion.receipt_of(connection, "b", "d1") == (False, None)
    assert records(connection) == 2
    capacity = {row.name: row.capacity_wh for row in fleet.stations(connection, NOW)}
    assert capacity == {"a": None, "b": 1152.0}
    assert ingest.take(connection, submitted(1, 2)).duplicate


def test_the_fleet_counts_who_is_online_pledged_delivering_and_settled(connection: Connection) -> None:
    stations.enrol(connection, ["c"], NOW)
    for name, pledge_w in (("a", 150.0), ("b", None)):
        stations.register(connection, name, Registration(network="n", level="hourly", pledge_w=pledge_w), NOW)
    stations.present(connection, [("a", True, NOW), ("b", False, NOW)])
    events.call(connection, event())
    answers.keep(connection, [heard("a", EventStatus.ONGOING), heard("b", EventStatus.SCHEDULED)])
    during = fleet.totals(connection, NOW + timedelta(minutes=1))
    assert (during.enrolled, during.online, during.silent) == (3, 1, 1)
    assert (during.pledged_w, during.pledge_saying, during.delivering, during.delivering_w) == (150, 1, 1, 150)
    assert fleet.totals(connection, NOW + timedelta(hours=2)).delivering == 0
    assert [row.name for row in fleet.stations(connection, NOW, show="online")] == ["a"]
    assert [row.name for row in fleet.stations(connection, NOW, show="delivering")] == ["a"]
    assert [row.name for row in fleet.stations(connection, NOW, after="a", limit=1)] == ["b"]


def test_only_who_was_asked_counts_for_an_event(connection: Connection) -> None:
    stations.enrol(connection, ["early"], NOW)
    stations.withdraw(connection, "early", NOW - timedelta(hours=1))
    events.call(connection, event("all"))
    events.call(connection, event("some", stations=("a",)))
    stations.enrol(connection, ["late"], NOW + timedelta(hours=1))
    names = ("a", "b", "early", "late")
    for event_id in ("all", "some"):
        answers.keep(connection, [heard(name, EventStatus.ONGOING, event_id=event_id) for name in names])
    # "b" goes during the event: it was asked, and delivers no longer.
    for name in names:
        for event_id in ("all", "some", "never-called"):
            settle(connection, name, event_id, 100.0)
    stations.withdraw(connection, "b", NOW + timedelta(minutes=30))
    rows = {row.id: row for row in fleet.events(connection)}
    assert [(rows[one].asked, rows[one].answered, rows[one].settled, rows[one].reduction_wh) for one in ("all", "some")] == [
        (2, 2, 2, 200.0),
        (1, 1, 1, 100.0),
    ]
    assert [said.station for said in fleet.answers_to(connection, "some")] == ["a"]
    found = fleet.totals(connection, NOW + timedelta(minutes=40))
    assert (found.delivering, found.settled, found.settled_wh) == (1, 3, 300.0)
    shown = fleet.stations(connection, NOW + timedelta(minutes=40))
    assert [(row.name, row.delivering is not None, row.settled_wh) for row in shown] == [("a", True, 200.0), ("late", False, None)]
    assert [(one.event_id, one.station) for one in fleet.settlements(connection)] == [("all", "a"), ("all", "b"), ("some", "a")]


def test_a_test_settles_for_itself_and_adds_nothing_to_the_totals(connection: Connection) -> None:
    events.call(connection, event("real"))
    events.call(connection, event("try", test=True))
    settle(connection, "a", "real", 100.0)
    settle(connection, "a", "try", 7.0)
    assert {row.id: row.reduction_wh for row in fleet.events(connection)} == {"real": 100.0, "try": 7.0}
    found = fleet.totals(connection, NOW)
    assert (found.settled, found.settled_wh) == (1, 100.0)
    assert fleet.stations(connection, NOW)[0].settled_wh == 100.0
    assert [one.event_id for one in fleet.settlements(connection, "try")] == ["try"]


def test_a_record_under_the_older_id_settles_its_event(connection: Connection) -> None:
    events.call(connection, event(old_id="csrp-abc"))
    settle(connection, "a", "csrp-abc", 100.0)
    assert fleet.events(connection)[0].settled == 1
    assert [one.event_id for one in fleet.settlements(connection, "one")] == ["one"]


def test_secrets_change_with_the_generation_only_when_asked(connection: Connection) -> None:
    assert stations.enrol(connection, ["a"], NOW)[0].generation == 1
    assert stations.enrol(connection, ["a"], NOW, renew=True)[0].generation == 2
    assert stations.withdraw(connection, "a", NOW)
    assert not stations.withdraw(connection, "a", NOW)
    assert stations.generation_of(connection, "a") is None
    assert stations.enrol(connection, ["a"], NOW)[0].generation == 3


def test_many_come_in_as_one_does_and_the_withdrawn_ones_with_new_secrets(connection: Connection) -> None:
    stations.withdraw(connection, "b", NOW)
    found = stations.enrol_many(connection, ["x", "b", "a", "x"], NOW)
    assert [(one.name, one.generation) for one in found] == [("x", 1), ("b", 2), ("a", 1)]
    assert [(one.name, one.generation) for one in stations.enrolled(connection)] == [("a", 1), ("b", 2), ("x", 1)]


def test_one_job_that_fails_takes_no_other_with_it(engine: Engine) -> None:
    writer = Writer(engine)

    def job(number: int) -> Callable[[Connection], int]:
        def work(connection: Connection) -> int:
            stations.enrol(connection, [f"house-{number}"], NOW)
            if number % 3 == 0:
                raise ValueError(number)
            return number

        return work

    futures = [writer.submit(job(number)) for number in range(30)]
    wait(futures)
    writer.close()
    assert [future.exception() is not None for future in futures] == [number % 3 == 0 for number in range(30)]
    with engine.connect() as connection:
        assert len(stations.enrolled(connection)) == 20


def test_a_database_that_cannot_be_written_says_so_and_then_goes_on(tmp_path: Path) -> None:
    engine = open_database("", None, tmp_path)
    writer = Writer(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE station RENAME TO gone")
    with pytest.raises(Exception, match="no such table"):
        writer.submit(lambda connection: stations.enrol(connection, ["a"], NOW)).result(10)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO station")
    assert writer.submit(lambda connection: stations.enrol(connection, ["a"], NOW)).result(10)[0].name == "a"
    writer.close()


def test_a_url_that_means_nothing_is_refused_without_its_password(tmp_path: Path) -> None:
    for url in ("nonsense", "mysql://u@h/d", "postgresql+psycopg://u@127.0.0.1:1/d"):
        with pytest.raises(StoreError) as refused:
            open_database(url, "hidden-password", tmp_path)
        assert "hidden-password" not in str(refused.value)
