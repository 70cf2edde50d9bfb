"""The feed against a real server: nothing lost, nothing twice, whatever happens in between."""

import asyncio
import contextlib
import http.server
import json
import threading
from datetime import UTC, datetime, timedelta
from random import Random
from typing import ClassVar
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from services.bus import state_lock
from services.bus.clock import SystemClock
from services.cli.main import app
from services.core.config.station import InfluxFeed
from services.recorder import influx_feed
from services.recorder.history import History
from services.recorder.influx_feed import Feed
from services.recorder.influx_writer import InfluxWriter
from services.recorder.journal import FILE_NAME, Journal, StateRow
from services.recorder.upkeep import Upkeep
from tests.support.victoria import Victoria, victoria
from tests.support.waiting import wait_for

START = datetime(2026, 7, 1, tzinfo=UTC)
POWER = 'position_power_w{position="p1",station="demo"}'


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "var" / "recorder" / FILE_NAME)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(influx_feed, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(influx_feed, "FIRST_WAIT_S", 0.02)


def secret(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir(exist_ok=True)
    (folder / "influx").write_text("a-token\n")


class Watched(Feed):
    """A feed that remembers what it said."""

    problems: list[str | None]
    told: list[str]


@contextlib.asynccontextmanager
async def feeding(tmp_path, journal, url, **more):
    """A feed from the journal; `problems` is what it said of its health."""
    secret(tmp_path)
    problems, told = [], []
    feed = Watched(
        InfluxFeed(url=url, org="home", bucket="station", token_file="influx", **more),
        "demo",
        tmp_path / "var",
        History(journal.path),
        SystemClock(),
        Random(1),
        settled_ms=lambda: 60_000,
        health=problems.append,
        tell=told.append,
    )
    feed.problems, feed.told = problems, told
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def rows(first, count):
    return [
        (START + timedelta(seconds=10 * i), {"p1_w": i % 300 / 10, "p1_v": 230.0, "soc_pct": 50.0}) for i in range(first, first + count)
    ]


def expected(count):
    """What has settled: all but the last minute."""
    return {round(ts.timestamp() * 1000): values["p1_w"] for ts, values in rows(0, count)[: count - 6]}


async def test_a_week_without_influxdb_is_caught_up_and_nothing_is_doubled(tmp_path, journal) -> None:
    week = 7 * 864  # a row each 100 s is enough of a week
    server = Victoria(tmp_path / "vm")
    async with feeding(tmp_path, journal, server.url) as feed:
        journal.append_rows(rows(0, week))
        await wait_for(lambda: feed.problems and "nothing is lost" in (feed.problems[-1] or ""), 20)
        assert feed.fed_points == 0
        server.start()
        try:
            await wait_for(lambda: feed.cursor is not None and feed.cursor.ts_ms == max(expected(week)), 20)
            assert feed.problems[-1] is None
            assert server.samples(POWER) == pytest.approx(expected(week))
            assert len(server.samples('battery_soc_pct{station="demo"}')) == week - 6
            assert feed.fed_points == 2 * (week - 6)  # two points a row, each sent once
        finally:
            server.stop()


async def test_a_bucket_that_was_lost_is_filled_again(tmp_path, journal) -> None:
    journal.append_rows(rows(0, 100))
    journal.write({}, [StateRow("controller/state", round(START.timestamp() * 1000), '{"phase": "normal"}')])
    whole = expected(100)
    with victoria(tmp_path / "first") as server:
        async with feeding(tmp_path, journal, server.url) as feed:
            await wait_for(lambda: feed.cursor is not None and feed.cursor.ts_ms == max(whole) and feed.state_number, 20)
            keep = Upkeep(
                SystemClock(),
                366,
                zone=ZoneInfo("UTC"),
                max_gap_s=lambda: 60,
                fed=lambda: feed.cursor,
                fed_states=lambda: feed.state_number,
                fed_hours=lambda: feed.hours,
            )
            keep.save_cursor(journal)
    var = ["--var", str(tmp_path / "var")]
    with state_lock.hold(tmp_path / "var", ["recorder"]):
        refused = CliRunner().invoke(app, ["influx", "refill", *var])
        assert refused.exit_code == 1
        assert "another sps is running" in refused.output
    asked = CliRunner().invoke(app, ["influx", "refill", *var])
    assert asked.exit_code == 0, asked.output
    with victoria(tmp_path / "second") as empty:
        async with feeding(tmp_path, journal, empty.url) as feed:
            await wait_for(lambda: feed.cursor is not None and feed.cursor.ts_ms == max(whole) and feed.state_number, 20)
            assert empty.samples(POWER) == pytest.approx(whole)


def test_without_a_journal_there_is_nothing_to_fill_from(tmp_path) -> None:
    asked = CliRunner().invoke(app, ["influx", "refill", "--var", str(tmp_path)])
    assert asked.exit_code == 2
    assert "name your state folder with --var" in asked.output
    assert not list(tmp_path.iterdir())


async def test_what_comes_late_is_fed_late_and_a_restart_without_its_cursor_doubles_nothing(tmp_path, journal) -> None:
    with victoria(tmp_path / "vm") as server:
        late = {200, 201, 777}
        journal.append_rows(row for i, row in enumerate(rows(0, 1000)) if i not in late)
        async with feeding(tmp_path, journal, server.url) as feed:
            await wait_for(lambda: feed.cursor is not None and feed.cursor.ts_ms == max(expected(1000)), 20)
            assert len(server.samples(POWER)) == 994 - 3
            journal.append_rows(row for i, row in enumerate(rows(0, 1000)) if i in late)
            feed.committed()
            await wait_for(lambda: feed.cursor.late_seq > 0, 20)
            assert server.samples(POWER) == pytest.approx(expected(1000))
        async with feeding(tmp_path, journal, server.url) as feed:  # its cursor was never noted: all is told again
            await wait_for(lambda: feed.cursor is not None and feed.cursor.ts_ms == max(expected(1000)), 20)
            assert feed.fed_points == 2 * 994
        assert server.samples(POWER) == pytest.approx(expected(1000))


async def test_a_server_that_ends_in_the_middle_costs_nothing(tmp_path, journal) -> None:
    journal.append_rows(rows(0, 3000))
    with victoria(tmp_path / "vm") as server:
        async with feeding(tmp_path, journal, server.url, batch_rows=50) as feed:
            await wait_for(lambda: feed.fed_points > 1000, 20)
            server.stop()
            await wait_for(lambda: feed.problems[-1] is not None, 20)
            server.start()
            await wait_for(lambda: feed.cursor.ts_ms == max(expected(3000)), 20)
        assert server.samples(POWER) == pytest.approx(expected(3000))


class Refusing(http.server.BaseHTTPRequestHandler):
    """Refuses one point, as a server does that knows the field by another type; or the token; and drops what is too old for it."""

    status = 0
    token: str | None = None
    """Nobody else is let in."""
    oldest_ms = 0
    """What is older is dropped and the rest stored, with the status and the words of InfluxDB 2."""
    taken: ClassVar[list[bytes]] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        stranger = self.token is not None and self.headers["Authorization"] != f"Token {self.token}"
        status = 401 if stranger else self.status or (422 if b" power_w=1.3," in body else 204)
        answer = b""
        if status == 204:
            points = body.split(b"\n")
            kept = [point for point in points if int(point.split()[-1]) >= self.oldest_ms]
            Refusing.taken += kept
            if dropped := len(points) - len(kept):
                why = f"failure writing points to database: partial write: points beyond retention policy dropped={dropped}"
                status, answer = 422, json.dumps({"code": "unprocessable entity", "message": why}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Refusing.taken, Refusing.status, Refusing.token, Refusing.oldest_ms = [], 0, None, 0
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_point_that_is_refused_is_passed_over_alone_and_told(tmp_path, journal, refusing) -> None:
    journal.append_rows(rows(0, 100))
    async with feeding(tmp_path, journal, refusing) as feed:
        await wait_for(lambda: feed.cursor is not None and feed.cursor.ts_ms == max(expected(100)), 20)
        assert [notice.split(":")[0] for notice in feed.told] == [
            f"InfluxDB refuses the reading of {round((START.timestamp() + 130) * 1000)} ms since 1970, which is passed over"
        ]
        assert len(Refusing.taken) == 2 * 93


async def test_what_is_older_than_the_server_keeps_is_passed_at_full_pace_and_told_once(tmp_path, journal, refusing, monkeypatch) -> None:
    sent: list[int] = []
    write = InfluxWriter.write
    monkeypatch.setattr(InfluxWriter, "write", lambda writer, points: (sent.append(len(points)), write(writer, points))[1])
    Refusing.oldest_ms = round((START.timestamp() + 5_005) * 1000)
    journal.write({}, [StateRow("relay/p1/state", round(START.timestamp() * 1000), '{"on": true}')])
    journal.append_rows(row for row in rows(0, 1000) if row[1]["p1_w"] != 1.3)
    async with feeding(tmp_path, journal, refusing, batch_rows=100) as feed:
        await wait_for(lambda: feed.cursor is not None and feed.cursor.ts_ms == max(expected(1000)), 20)
        await wait_for(lambda: feed.state_number == 1, 20)
        assert len(feed.told) == 1
        assert "older than its bucket keeps" in feed.told[0]
        assert "points beyond retention policy dropped" in feed.told[0]
    fresh = {ts_ms for ts_ms, power_w in expected(1000).items() if power_w != 1.3 and ts_ms >= Refusing.oldest_ms}
    assert {int(line.split()[-1]) for line in Refusing.taken} == fresh
    assert sum(count > 0 for count in sent) <= 14, "batches stay whole"


async def test_what_was_said_is_fed_once_in_order_and_goes_on_where_it_ended(tmp_path, journal, refusing) -> None:
    said = [StateRow("relay/p1/state", 1_000 * i, json.dumps({"on": i % 2 == 0})) for i in range(1, 8)]
    journal.write({}, [*said[:5], StateRow("relay/p1/state", 5_500, '["of an earlier version"]'), StateRow("unheard/of", 5_600, "{}")])
    async with feeding(tmp_path, journal, refusing, batch_rows=2) as feed:
        await wait_for(lambda: feed.state_number == 7, 20)
        keep = Upkeep(
            SystemClock(), 366, zone=ZoneInfo("UTC"), max_gap_s=lambda: 60, fed=lambda: None, fed_states=lambda: feed.state_number
        )
        keep.save_cursor(journal)
    journal.write({}, said[5:])
    async with feeding(tmp_path, journal, refusing) as feed:
        await wait_for(lambda: feed.state_number == 9, 20)
    relay = [line.split() for line in Refusing.taken if line.startswith(b"relay,")]
    assert [int(one[-1]) for one in relay] == [state.ts_ms for state in said]
    assert [b"on=1.0" in one[1] for one in relay] == [False, True, False, True, False, True, False]


async def test_a_refused_token_and_a_missing_one_are_told_with_the_remedy(tmp_path, journal, refusing) -> None:
    Refusing.status = 401
    journal.append_rows(rows(0, 100))
    async with feeding(tmp_path, journal, refusing) as feed:
        await wait_for(lambda: any("refuses the token (401); check the file" in (p or "") for p in feed.problems), 20)
        assert feed.fed_points == 0
    async with feeding(tmp_path, journal, refusing) as feed:
        (tmp_path / "secrets" / "influx").unlink()
        await wait_for(lambda: any("influx cannot be read" in (p or "") for p in feed.problems), 20)


async def test_a_new_token_is_taken_up_without_a_restart(tmp_path, journal, refusing) -> None:
    Refusing.token = "a-new-one"
    journal.append_rows(rows(0, 100))
    async with feeding(tmp_path, journal, refusing) as feed:
        await wait_for(lambda: any("refuses the token (401)" in (p or "") for p in feed.problems), 20)
        (tmp_path / "secrets" / "influx").write_text("a-new-one\n")
        await wait_for(lambda: feed.fed_points > 0 and feed.problems[-1] is None, 20)
