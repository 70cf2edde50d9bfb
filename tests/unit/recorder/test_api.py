"""The query API as its readers see it, over real HTTP."""

import asyncio
import contextlib
import errno
import os
import socket
from datetime import UTC, datetime, timedelta

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from services.bus import web
from services.bus.clock import ManualClock
from services.bus.recorder_token import headers, make_token
from services.core.config.station import Endpoint
from services.recorder.api import create_app
from services.recorder.history import History
from services.recorder.journal import StateRow
from tests.support.ports import free_port
from tests.support.recorder import event

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOON_S = int(NOON.timestamp())
LOCAL = {"Host": "localhost"}


def make_app(path, **more):
    return create_app(History(path), ManualClock(NOON), max_gap_s=lambda: 150, account=lambda _: None, committed_until=lambda: NOON, **more)


@contextlib.asynccontextmanager
async def served(path, **more):
    """Asks the served API: `await ask("/api/events")` gives status code and body."""
    endpoint = Endpoint(port=free_port())
    task = asyncio.create_task(web.serve(make_app(path, **more), web.listen(endpoint)))

    async def ask(question, **more):
        answer = await asyncio.to_thread(requests.get, f"http://127.0.0.1:{endpoint.port}{question}", timeout=5, **more)
        return answer.status_code, answer.json() if "json" in answer.headers["content-type"] else answer.text

    try:
        yield ask
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        socket.create_server(("127.0.0.1", endpoint.port)).close()  # it has let go of its port


@pytest.fixture
async def ask(journal):
    async with served(journal.path) as asking:
        yield asking


async def test_a_series_by_hand(ask, fill) -> None:
    fill("2026-07-01T11:50", 10, lambda i: {"p1_w": float(i), "p3_w": 100.0})
    assert await ask("/api/series?names=p1_w,load_w&start=2026-07-01T11:50:30Z&end=2026-07-01T13:58:00%2B02:00&step_s=240") == (
        200,
        {
            "start": "2026-07-01T11:50:30.000Z",
            "end": "2026-07-01T11:58:00.000Z",
            "step_s": 240,
            "times": [NOON_S - 720, NOON_S - 480, NOON_S - 240],
            "series": {"p1_w": [0.5, 3.5, 7.5], "load_w": [100.5, 103.5, 107.5]},
        },
    )


async def test_energy_by_local_day_and_month_with_the_share_covered(ask, fill) -> None:
    fill("2026-06-29T00:00", 3 * 1440 + 1, lambda i: {"p1_w": 60.0, "p2_w": 30.0, "p3_w": 10.0})
    code, days = await ask("/api/energy?start=2026-06-29T00:00:00Z&end=2026-07-01T12:00:00Z")
    assert (code, [day["start"][:10] for day in days]) == (200, ["2026-06-29", "2026-06-30", "2026-07-01"])
    whole = {"p1_wh": 1440.0, "p4_wh": None, "import_wh": 2160.0, "load_wh": 1680.0, "avoided_wh": -480.0}
    assert {name: days[1][name] for name in whole} == whole
    assert {name: days[1]["covered"][name] for name in ("p1", "p4", "import", "metered")} == {
        "p1": 1.0,
        "p4": 0.0,
        "import": 1.0,
        "metered": 1.0,
    }
    code, months = await ask("/api/energy?by=month&start=2026-06-29T00:00:00Z&end=2026-07-01T12:00:00Z")
    assert [(month["start"][:10], month["p1_wh"]) for month in months] == [("2026-06-01", 2880.0), ("2026-07-01", 1440.0)]
    assert months[0]["covered"]["p1"] == pytest.approx(2 / 30, abs=1e-4)


async def test_a_series_with_its_coverage(ask, fill) -> None:
    fill("2026-07-01T11:00", 30, lambda i: {"p1_w": 60.0})
    code, body = await ask("/api/series?names=p1_w&start=2026-07-01T11:00:00Z&end=2026-07-01T12:00:00Z&step_s=3600&covered=true")
    assert (code, body["series"]["p1_w"], body["covered"]["p1_w"]) == (200, [60.0], [0.5])


async def test_rows_are_followed_by_a_cursor(ask, fill) -> None:
    fill("2026-07-01T11:00", 10, lambda i: {"p1_w": 60.5, "soc_pct": 71.25})
    code, first = await ask("/api/rows?limit=5")
    code, rest = await ask(f"/api/rows?limit=5&after={first['cursor']}")
    rows = [dict(zip(first["columns"], row, strict=True)) for row in first["rows"] + rest["rows"]]
    assert (code, first["more"], rest["more"]) == (200, True, False)
    assert [row["ts_ms"] for row in rows] == [(NOON_S - 3600 + 60 * i) * 1000 for i in range(9)]  # the newest may yet be added to
    assert (rows[0]["p1_w"], rows[0]["soc_pct"], rows[0]["p2_w"]) == (60.5, 71.25, None)


async def test_with_a_token_only_who_knows_it_is_answered(journal, tmp_path) -> None:
    token = make_token(tmp_path)
    assert (tmp_path / "recorder" / "api.token").stat().st_mode & 0o777 == 0o600
    assert make_token(tmp_path) == token
    async with served(journal.path, token=token) as asking:
        assert [(await asking("/api/events", headers=h))[0] for h in ({}, {"Authorization": "Bearer x"}, headers(tmp_path))] == [
            401,
            401,
            200,
        ]
        assert (await asking("/healthz"))[0] == 200


def test_a_token_that_was_given_as_a_secret_is_the_one(tmp_path, monkeypatch) -> None:
    made = make_token(tmp_path / "var")
    given = tmp_path / "given"
    monkeypatch.setenv("SPS_SECRETS", str(given))
    assert make_token(tmp_path / "var") == made  # none was given
    (given / "recorder").mkdir(parents=True)
    (given / "recorder" / "api.token").write_text("shared\n", encoding="ascii")
    assert make_token(tmp_path / "var") == "shared"
    assert headers(tmp_path / "elsewhere") == {"Authorization": "Bearer shared"}


async def test_it_is_asked_under_its_own_name_and_no_other(journal) -> None:
    async with served(journal.path, known_as="recorder") as asking:
        assert [(await asking("/healthz", headers={"Host": host}))[0] for host in ("recorder:8081", "localhost", "evil.example")] == [
            200,
            200,
            400,
        ]


@pytest.mark.parametrize("left", [None, ""])
def test_a_full_disk_leaves_no_empty_token_behind(tmp_path, monkeypatch, left) -> None:
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    if left is not None:  # as an earlier version did
        (tmp_path / "recorder").mkdir()
        (tmp_path / "recorder" / "api.token").write_text(left)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            make_token(tmp_path)
    token = make_token(tmp_path)
    assert len(token) > 40
    assert make_token(tmp_path) == token
    assert [file.name for file in (tmp_path / "recorder").iterdir()] == ["api.token"]
    assert (tmp_path / "recorder" / "api.token").stat().st_mode & 0o777 == 0o600


async def test_without_a_time_it_is_the_last_day_by_station_time(ask) -> None:
    code, body = await ask("/api/series")
    assert (code, body["start"], body["end"], len(body["times"])) == (200, "2026-06-30T12:00:00.000Z", "2026-07-01T12:00:00.000Z", 1440)
    assert body["series"]["p1_w"] == [None] * 1440


async def test_hours_give_energy_or_null_with_the_share_covered(ask, fill) -> None:
    fill("2026-07-01T09:00", 91, lambda i: {"p1_w": 60.0, "p2_w": 0.0, "p3_w": 20.0})
    code, hours = await ask("/api/hours?start=2026-07-01T09:30:00Z&end=2026-07-01T11:30:00Z")
    assert code == 200
    assert [hour["start"][11:16] for hour in hours] == ["09:00", "10:00", "11:00"]
    first = {
        "import_wh": 60.0,
        "load_wh": 80.0,
        "p1_wh": 60.0,
        "p2_wh": 0.0,
        "p3_wh": 20.0,
        "p4_wh": None,
        "avoided_wh": 20.0,
        "covered": 1.0,
    }
    assert hours[0] == {"start": "2026-07-01T09:00:00.000Z", **first}
    assert (hours[1]["import_wh"], hours[1]["covered"]) == (30.0, 0.5)
    assert (hours[2]["import_wh"], hours[2]["load_wh"], hours[2]["covered"]) == (None, None, 0.0)


async def test_states_events_and_the_report(ask, journal) -> None:
    start, end = NOON - timedelta(hours=2), NOON - timedelta(hours=1)

    def decision(minutes, mode):
        ts = start + timedelta(minutes=minutes)
        return StateRow("controller/state", int(ts.timestamp() * 1000), f'{{"mode_commanded":{mode},"reason":"r{mode}"}}')

    body = event("e1", start, end, "completed")
    journal.write({}, [decision(-90, 1), decision(-60, 2), decision(10, 5), decision(61, 2), StateRow("event/e1", 1, body)])
    code, states = await ask("/api/states?topic=controller/state&start=2026-07-01T09:00:00Z&end=2026-07-01T10:30:00Z")
    assert (code, [state["payload"]["mode_commanded"] for state in states]) == (200, [2, 5])
    assert states[0]["ts"] == "2026-07-01T09:00:00.000Z"
    code, events = await ask("/api/events")
    assert (code, [one["id"] for one in events]) == (200, ["e1"])
    code, report = await ask("/api/events/e1/report")
    assert code == 200
    assert [(one["mode"], one["reason"]) for one in report["decisions"]] == [(2, "r2"), (5, "r5")]
    assert (report["event"], report["baseline"], report["performance"], report["final"]) == (events[0], None, None, False)


BAD_QUESTIONS = [
    ("/api/series?names=p1_w,p7_w", 400, "'p7_w' is not recorded; choose from p1_w"),
    ("/api/series?start=2026-07-02T00:00:00Z", 400, "must lie before end"),
    ("/api/series?start=2026-06-01T00:00:00Z&step_s=1", 400, "use at least 132"),
    ("/api/series?step_s=0", 422, "greater than or equal to 1"),
    ("/api/series?start=2026-07-01T00:00:00", 422, "timezone"),
    ("/api/series?start=yesterday", 422, "datetime"),
    ("/api/series?start=0001-01-01T00:00:00%2B20:00", 400, "between the years 2000 and 2200"),
    ("/api/hours?start=2024-01-01T00:00:00Z", 400, "at most 732 days"),
    ("/api/energy?by=week", 422, "month"),
    ("/api/rows?after=x", 400, "is no cursor; leave it out to begin"),
    ("/api/states", 422, "topic"),
    ("/api/events/nobody/report", 404, "no event 'nobody'"),
    ("/api/events/a%20b/report", 422, "pattern"),
    ("/api/nothing", 404, "Not Found"),
]


async def test_bad_questions_get_clear_answers(ask) -> None:
    for question, code, why in BAD_QUESTIONS:
        answered, body = await ask(question)
        assert (question, answered) == (question, code)
        assert why in str(body["detail"])


async def test_another_host_name_is_refused(ask) -> None:
    assert (await ask("/api/events", headers={"Host": "evil.example"}))[0] == 400
    assert (await ask("/api/events", headers={"Host": "localhost"}))[0] == 200


async def test_while_the_journal_cannot_be_read_that_is_said(tmp_path) -> None:
    async with served(tmp_path / "missing.db") as asking:
        code, body = await asking("/api/events")
        assert code == 503
        assert "cannot be read" in body["detail"]


def test_the_api_keeps_to_its_own_description(journal) -> None:
    journal.append_rows((NOON - timedelta(minutes=i), {"p1_w": 5.0}) for i in range(60))
    journal.write({}, [StateRow("event/e1", 1, event("e1", NOON, NOON + timedelta(hours=1), "scheduled"))])
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(journal.path), headers=LOCAL)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 8
    for operation in operations:

        @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case):
            case.call_and_validate(headers=LOCAL, excluded_checks=[positive_data_acceptance])  # it cannot know that start < end

        check()


def test_the_socket_lets_asyncio_send_without_delay() -> None:
    sock = web.listen(Endpoint(port=free_port()))
    assert sock.proto == socket.IPPROTO_TCP
    sock.close()
