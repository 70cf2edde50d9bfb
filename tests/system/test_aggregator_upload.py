"""What is shared reaches the aggregator, once, in order, and nothing else does, whatever its server does. Over real sockets."""

import asyncio
import json
import ssl
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from services.bus.clock import SystemClock
from services.core.config.aggregator import AggregatorHttp
from services.core.preferences import SharingLevel
from services.gateway.aggregator_link import results
from services.gateway.aggregator_link.collecting import Collector
from services.gateway.aggregator_link.gate import Gate
from services.gateway.aggregator_link.packing import Packed
from services.gateway.aggregator_link.positions import Positions
from services.gateway.aggregator_link.posting import Poster
from services.gateway.aggregator_link.results import retry_after_s
from services.gateway.aggregator_link.sending import Sender
from services.gateway.aggregator_link.table import Participant
from services.gateway.aggregator_link.table_uploading import TableUploader
from services.gateway.recorder_link import RecorderLink
from services.recorder.columns import NAMES
from services.recorder.journal import FILE_NAME, Journal, StateRow
from tests.support.certificates import Authority
from tests.support.misbehaving import MISBEHAVIOURS, Aggregator
from tests.support.ports import free_port
from tests.support.recorder import event
from tests.support.uploads import ABLE, START, Rig, fill, query_api, quick
from tests.support.waiting import wait_for

ROWS = 450


@pytest.fixture
def server():
    running = Aggregator()
    yield running
    running.close()


@pytest.fixture
async def rig(tmp_path, server, monkeypatch):
    journal = fill(tmp_path, ROWS)
    with quick(monkeypatch):
        async with query_api(journal) as recorder:
            made = Rig(tmp_path, recorder, server)
            yield made
            made.sent.close()


def in_order_and_once(records):
    times = [record["ts"] for record in records]
    return times == sorted(set(times))


async def test_a_level_full_is_uploaded_once_and_in_order(rig, server):
    rig.share(SharingLevel.FULL, past=True)
    async with rig.running() as uploader:
        await wait_for(lambda: len(server.records("full")) == ROWS, 20, what="all rows")
        await rig.until_idle(uploader)
    records = server.records("full")
    assert in_order_and_once(records)
    assert records[3] == {"ts": "2026-11-23T08:03:00.000Z", "p1_w": 3.0, "p2_w": 0.0, "p3_w": 20.0, "p4_w": 5.0, "soc_pct": 53.0}
    able = {"capacity_wh": 1152.0, "power_w": 1800.0, "pledge_w": 150.0, "programme": "coned-csrp"}
    assert server.registered == [{"v": 1, "network": "Borough", "level": "full", **able}]
    hours = server.records("hourly")
    assert [hour["start"] for hour in hours] == [f"2026-11-23T{hour:02}:00:00.000Z" for hour in range(8, 16)]
    assert hours[1]["soc_pct"] == pytest.approx(50 + sum((60 + i) % 40 for i in range(55, 60)) / 5)
    request = next(asked for asked in server.asked if asked.path.endswith("/batches"))
    assert request.path == "/v1/stations/demo/batches"
    assert request.headers["Content-Encoding"] == "gzip"
    assert "python" not in request.headers["User-Agent"].lower()


@pytest.mark.parametrize("behaviour", MISBEHAVIOURS)
async def test_nothing_is_lost_or_doubled_by_a_server_that(behaviour, rig, server):
    rig.share(SharingLevel.FULL, {"hourly.p1_wh": False}, past=True)
    server.script = ["good", behaviour, "good", behaviour, behaviour]
    async with rig.running() as uploader:
        await wait_for(lambda: len(server.records("full")) == ROWS, 40, what=f"all rows: {uploader.progress}")
        await rig.until_idle(uploader)
    assert in_order_and_once(server.records("full"))
    assert rig.told == []
    outcomes = Counter(entry.outcome.split(":")[0] for entry in rig.sent.page(None, 200))
    assert set(outcomes) <= {"sent", "had it already", "not taken, though some of it may have left", "too large"}, outcomes


async def test_a_redirect_is_not_followed_and_an_endless_answer_is_not_read(rig, server):
    rig.share(SharingLevel.EVENT)
    server.script = ["redirects", "answers without end"]
    async with rig.running() as uploader:
        await wait_for(lambda: "points elsewhere" in uploader.progress.detail, what="word of the redirect")
        await wait_for(lambda: len(server.registered) == 1, what="the registration")


@pytest.mark.parametrize("behaviour", ["400", "422"])
async def test_a_batch_that_is_refused_for_good_is_set_aside_and_told_and_the_rest_goes_on(behaviour, rig, server):
    rig.share(SharingLevel.FULL, past=True)
    server.script = ["good", "good", behaviour]
    async with rig.running() as uploader:
        await wait_for(lambda: len(server.records("full")) == ROWS - 100, 20, what="the rest")
        await rig.until_idle(uploader)
    assert len(rig.told) == 1
    assert behaviour in rig.told[0]
    refused = [entry for entry in rig.sent.page(None, 200) if entry.outcome.startswith("refused for good")]
    assert [(entry.records, entry.kind) for entry in refused] == [(100, "full")]
    assert len(json.loads(refused[0].body)["records"]) == 100, "what was refused can still be read"


async def test_a_body_that_is_too_large_comes_in_smaller_pieces(rig, server):
    rig.share(SharingLevel.FULL, {"hourly.p1_wh": False}, past=True)
    server.script = ["good", "good", "413", "413"]
    async with rig.running():
        await wait_for(lambda: len(server.records("full")) == ROWS, 20, what="all rows")
    sizes = [len(one.records) for one in server.stored.values() if one.kind == "full"]
    assert sizes[0] == 25
    assert max(sizes) == 100


async def test_days_offline_are_caught_up_with(tmp_path, monkeypatch):
    rows = 3 * 24 * 60
    journal = fill(tmp_path, rows)
    port = free_port()
    with quick(monkeypatch):
        async with query_api(journal) as recorder:
            away = Aggregator(port=port)
            rig = Rig(tmp_path, recorder, away, {"batch_records": 1000})
            away.close()
            rig.share(SharingLevel.FULL, past=True)
            async with rig.running() as uploader:
                await wait_for(lambda: "does not answer" in uploader.progress.detail, what="nobody there")
                assert rig.sent.page(None, 50) == [], "nothing left, so nothing stands in the log of what left"
                back = Aggregator(port=port)
                await wait_for(lambda: len(back.records("full")) == rows, 30, what="three days of rows")
                await rig.until_idle(uploader)
            assert in_order_and_once(back.records("full"))
            back.close()
            rig.sent.close()


async def test_a_restart_in_mid_upload_sends_the_same_bytes_under_the_same_key(rig, server):
    rig.share(SharingLevel.FULL, past=True)
    server.script = ["good", "good", "good", "stores, then loses the connection", *["503, wait 1 s"] * 30]
    async with rig.running() as uploader:
        await wait_for(lambda: len(server.stored) >= 3 and uploader.progress.state == "waiting", 20, what="trouble")
    server.script = []
    again = Rig(rig.folder, rig.recorder, server)
    # Late rows came in meanwhile: made anew, the batch would be another, and its rows would be stored twice.
    journal = Journal(rig.folder / "var" / FILE_NAME)
    late = [round(START.timestamp() * 1000) + 1000 * second for second in (30, 90, 150)]
    journal.write({ts: [500, *[None] * (len(NAMES) - 1)] for ts in late})
    journal.close()
    async with again.running() as uploader:
        await wait_for(lambda: len({row["ts"] for row in server.records("full")}) == ROWS + len(late), 20, what="the rest")
        await again.until_idle(uploader)
    # The recorder tells a late stretch again as a whole, the two rows between the late ones too; nothing else came twice.
    doubled = [ts for ts, times in Counter(row["ts"] for row in server.records("full")).items() if times > 1]
    assert sorted(doubled) == ["2026-11-23T08:01:00.000Z", "2026-11-23T08:02:00.000Z"]
    assert server.repeated >= 1
    again.sent.close()


async def test_lowering_the_level_stops_in_the_middle_of_a_body_and_drops_what_lies_above(rig, server):
    """The server holds its answer until the level is lowered; no reading after that batch may ever reach it."""
    rig.share(SharingLevel.FULL, {"hourly.p1_wh": False}, past=True)
    held, go_on = threading.Event(), threading.Event()

    def hold():
        if server.records("full"):
            held.set()
            go_on.wait(10)

    server.before_answer = hold
    async with rig.running() as uploader:
        await asyncio.to_thread(held.wait, 10)
        rig.share(SharingLevel.EVENT)
        go_on.set()
        await rig.until_idle(uploader)
        await asyncio.sleep(0.5)
        assert len(server.records("full")) == 100, "what was under way when the level was lowered, and nothing after"
        assert Positions.read(rig.sent.place()).full is None
        rig.share(SharingLevel.FULL)
        await asyncio.sleep(0.5)
        assert len(server.records("full")) == 100, "raised again without the past: what was dropped stays in the house"
        rig.share(SharingLevel.FULL, past=True)
        await wait_for(lambda: {record["ts"] for record in server.records("full")} >= {"2026-11-23T15:00:00.000Z"}, 20, what="the past")


async def test_the_past_of_one_more_field_is_sent_though_the_past_of_others_was(rig, server):
    rig.share(SharingLevel.FULL, {"full.p4_w": False, "hourly.p4_wh": False}, past=True)
    async with rig.running() as uploader:
        await wait_for(lambda: len(server.records("full")) == ROWS, 20, what="all rows")
        await rig.until_idle(uploader)
        before = len(server.records("full"))
        rig.share(SharingLevel.FULL, {"full.p4_w": False})
        await wait_for(lambda: uploader.progress.state == "idle", what="the upload")
        assert len(server.records("full")) == before, "a field from now on sends nothing again"
        rig.share(SharingLevel.FULL, past=True)
        await wait_for(lambda: sum("p4_w" in row for row in server.records("full")) == ROWS, 20, what="the past of one field more")
        await wait_for(lambda: sum("p4_wh" in hour for hour in server.records("hourly")) == 8, 20, what="its hours")


def test_a_place_that_was_kept_without_its_fields_is_gone_on_from():
    begins = datetime(2026, 11, 23, tzinfo=UTC)
    place = Positions.read('{"full":{"begins":"2026-11-23T00:00:00Z","cursor":"7"}}').full
    assert place is not None
    assert place.holds(begins, {"full.p1_w": begins})
    assert not place.holds(begins - timedelta(days=1), {"full.p1_w": begins})


async def test_a_field_that_is_switched_off_is_in_no_body_by_any_route(rig, server):
    rig.share(SharingLevel.FULL, {"full.p4_w": False, "hourly.p4_wh": False, "event.capacity_wh": False}, past=True)
    async with rig.running() as uploader:
        await wait_for(lambda: len(server.records("full")) == ROWS, 20, what="all rows")
        await rig.until_idle(uploader)
    for asked in server.asked:
        whole = asked.body.decode() + str(asked.headers) + asked.path
        assert not any(word in whole for word in ("p4_w", "p4_wh", "capacity_wh"))


async def test_at_level_none_not_a_byte_goes_out(rig, server):
    rig.share(SharingLevel.NONE)
    async with rig.running() as uploader:
        await wait_for(lambda: uploader.progress.state == "off", what="nothing to do")
        await asyncio.sleep(0.3)
    assert server.asked == []


@pytest.mark.parametrize("auth", ["bearer", "hmac"])
async def test_who_we_are_is_shown_and_a_wrong_secret_waits_until_it_is_mended(auth, rig, server):
    server.secret = "right"
    (rig.folder / "secrets").mkdir()
    secret = rig.folder / "secrets" / "aggregator.token"
    secret.write_text("hunter2\n")
    rig.settings = {"auth": auth, "secret": "aggregator.token"}
    rig.share(SharingLevel.FULL, past=True)
    async with rig.running() as uploader:
        await wait_for(lambda: "does not let us in" in uploader.progress.detail, what="the refusal")
        secret.write_text("right\n")
        await wait_for(lambda: len(server.records("full")) == ROWS, 20, what="all rows")
    assert "hunter2" not in str([entry.body + entry.outcome for entry in rig.sent.page(None, 200)])


async def test_an_events_figures_go_out_at_level_event_and_again_when_they_change(rig, server):
    journal = Journal(rig.folder / "var" / FILE_NAME)

    def tell(reduction_wh, *, final):
        interval = {"start": at(8), "end": at(9), "baseline_wh": 100.0, "reduction_wh": reduction_wh, "avoided_wh": 9.0, "covered": 1.0}
        performance = {"ts": at(9), "event_id": "e1", "intervals": [interval | {"pv_wh": 3.0, "import_wh": 60.0}], "final": final,
                       "reduction_wh": reduction_wh, "avoided_wh": 9.0, "covered": 1.0, "notes": ["a note"], "pledge_w": 40.0}  # fmt: skip
        body = json.loads(event("e1", START, START + timedelta(hours=1), "completed", status_reason="a sentence"))
        ts = round(datetime.now(UTC).timestamp() * 1000)
        journal.write({}, [StateRow("event/e1", ts, json.dumps(body)), StateRow("event/e1/performance", ts, json.dumps(performance))])
        rig.followed.stamps["e1"] = str(reduction_wh)

    tell(40.0, final=False)
    rig.share(SharingLevel.EVENT, {"event.baseline": False}, past=True)
    async with rig.running() as uploader:
        await wait_for(lambda: len(server.records("event")) == 1, what="the event")
        tell(45.0, final=True)
        uploader.news()
        await wait_for(lambda: len(server.records("event")) == 2, what="its last figures")
        await rig.until_idle(uploader)
    first, last = server.records("event")
    assert (first["final"], last["final"], last["reduction_wh"]) == (False, True, 45.0)
    assert last["intervals"] == [{"start": at(8), "end": at(9), "reduction_wh": 45.0, "avoided_wh": 9.0, "covered": 1.0}]
    assert not set(last) & {"baseline_wh", "baseline_method", "notes", "import_wh", "pv_wh"}
    assert "sentence" not in json.dumps(last)
    assert server.records("full") == server.records("hourly") == []
    journal.close()


def at(hour):
    return f"2026-11-23T{hour:02}:00:00.000Z"


@pytest.mark.parametrize("level", [SharingLevel.NONE, SharingLevel.HOURLY, SharingLevel.FULL])
async def test_tables_get_what_is_shared_under_their_own_names(level, rig, server):
    now = datetime.now(UTC)
    journal = Journal(rig.folder / "var" / FILE_NAME)
    row = dict.fromkeys(NAMES) | {"p4_w": 1234, "soc_pct": 7000, "p1_w": 1000}
    journal.write({round((now - timedelta(minutes=2)).timestamp() * 1000): list(row.values())})
    journal.close()
    rig.share(level, {}, past=True)
    http = AggregatorHttp.model_validate({"url": server.url, "profile": "table"})
    poster = Poster(Sender(http, rig.folder / "var"), rig.sent, SystemClock(), server.url)
    who = Participant("demo", "Borough", ZoneInfo("America/New_York"), 20.0)
    uploader = TableUploader(
        Collector(RecorderLink(rig.recorder), "Borough", "demo"), poster, rig.consent, Random(1), rig.followed, ABLE, who
    )
    task = asyncio.create_task(uploader.run())
    await wait_for(lambda: uploader.progress.state in ("idle", "off"), what=str(uploader.progress))
    task.cancel()
    live, analysis = server.tables["live"], server.tables["analysis"]
    if level is SharingLevel.NONE:
        assert server.asked == []
        return
    assert analysis["max flex WhAC"] == "921.6"
    assert (analysis["name"], analysis["network"]) == ("demo", "Borough")
    if level is SharingLevel.FULL:
        assert {name: live[name] for name in ("name", "pv w", "battery", "flex wh")} == {
            "name": "demo", "pv w": "123.4", "battery": "70.0", "flex wh": "576.0",
        }  # fmt: skip
    else:
        assert live == {}
    assert [entry.kind for entry in rig.sent.page(None, 10)][-1] == ("table live" if level is SharingLevel.FULL else "table analysis")


@pytest.mark.parametrize("authority", ["ca", "somebody"])
async def test_over_tls_only_whom_we_believe_gets_anything(authority, tmp_path, monkeypatch):
    secrets = tmp_path / "secrets"
    Authority(secrets, "somebody")
    Authority(secrets).issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secrets / "server.crt", secrets / "server.key")
    server = Aggregator(tls=context)
    with quick(monkeypatch):
        async with query_api(fill(tmp_path, 50)) as recorder:
            rig = Rig(tmp_path, recorder, server, {"ca_file": f"{authority}.crt"})
            rig.share(SharingLevel.FULL, past=True)
            async with rig.running() as uploader:
                if authority == "ca":
                    await wait_for(lambda: len(server.records("full")) == 50, what="all rows")
                else:
                    await wait_for(lambda: "not to be believed" in uploader.progress.detail, what=str(uploader.progress))
                    assert server.asked == []
                    assert rig.sent.page(None, 10) == []
            rig.sent.close()
    server.close()


async def test_a_deletion_request_is_sent_and_noted(rig, server):
    uploader = rig.make()
    assert (await uploader.forget()).outcome.value == "sent"
    assert server.forgotten == 1
    entry = rig.sent.page(None, 1)[0]
    assert (entry.kind, entry.outcome) == ("deletion request", "sent")


async def test_the_log_holds_each_body_as_it_was_sent_and_stays_within_its_size(rig, server, tmp_path):
    rig.share(SharingLevel.FULL, {"hourly.p1_wh": False}, past=True)
    async with rig.running() as uploader:
        await wait_for(lambda: len(server.records("full")) == ROWS, 20, what="all rows")
        await rig.until_idle(uploader)
    entries = rig.sent.page(None, 200)
    bodies = {asked.body.decode() for asked in server.asked}
    assert {entry.body for entry in entries} == bodies
    assert all((entry.route, entry.to, entry.outcome) == ("http", server.url, "sent") for entry in entries)
    lines = list(rig.sent.lines())
    assert len(lines) == len(entries) + 1
    assert rig.sent.page(entries[1].number, 1) == [entries[2]]


def test_retry_after_in_both_its_forms():
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert retry_after_s("7", now) == 7
    assert retry_after_s("Mon, 23 Nov 2026 12:00:30 GMT", now) == 30
    assert retry_after_s("Mon, 23 Nov 2026 11:00:00 GMT", now) == 0
    assert retry_after_s("9" * 400, now) == 6 * 3600
    assert retry_after_s("-5", now) is None
    assert retry_after_s("soon", now) is None
    assert retry_after_s(None, now) is None
    assert now + timedelta(days=1) > START


async def test_an_answer_that_drips_is_given_up_after_a_time_for_the_whole_of_it(server, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ANSWER_WITHIN_S", 0.2)
    server.script = ["stores, then drips its answer"]
    sender = Sender(AggregatorHttp.model_validate({"url": server.url, "timeout_s": 1.0}), tmp_path)
    result = await asyncio.to_thread(sender.send, "PUT", "/v1/stations/demo", Packed.of(b"{}"), Gate(lambda: 0))
    sender.close()
    assert "has no end" in result.detail, "given up, and not waited for until the connection broke"


async def test_a_log_that_is_full_after_sending_leads_to_the_same_bytes_under_the_same_key(rig, server, monkeypatch):
    end, failed = rig.sent.end, []

    def full(number, outcome, **named):
        if named.get("moved") and not failed and rig.sent.unfinished():
            failed.append(number)
            raise OSError("database or disk is full")
        end(number, outcome, **named)

    monkeypatch.setattr(rig.sent, "end", full)
    rig.share(SharingLevel.FULL, past=True)
    async with rig.running() as uploader:
        await rig.until_idle(uploader)
    assert failed, "the log was full once"
    entry = next(one for one in rig.sent.page(None, 200) if one.number == failed[0])
    assert (entry.outcome, entry.attempts) == ("had it already", 2)
    assert rig.sent.unfinished() == [], "nothing that a restart would go back to"
