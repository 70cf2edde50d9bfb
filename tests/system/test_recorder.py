"""The recorder among real parts: a real broker, real files, real HTTP."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import pytest

from services.recorder.journal import FILE_NAME, Journal
from tests.support.recorder import ask, event, make_station, reading, recording, rfc3339
from tests.support.waiting import wait_for

ROOT = "sps/demo/"


@pytest.fixture
def station(broker):
    return make_station(broker)


@pytest.fixture
def now():
    return datetime.now(UTC)


def seed(var, rows):
    journal = Journal(var / "recorder" / FILE_NAME)
    journal.append_rows(rows)
    journal.close()


def seed_event(var, now):
    """Ten days of 100 W, then an event that ended ten minutes ago: 20 W from the grid, 80 W from the battery."""
    end = now - timedelta(minutes=10)
    start = end - timedelta(minutes=90)
    first = start - timedelta(days=30)
    minutes = int((now - first).total_seconds() // 60)
    house = {True: {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 0.0}, False: {"p1_w": 100.0, "p2_w": 0.0, "p3_w": 0.0, "p4_w": 0.0}}
    seed(var, ((ts, house[start <= ts <= end]) for i in range(minutes) if (ts := first + timedelta(minutes=i))))
    return start, end


async def started(plain):
    """Wait until the recorder listens: until it has committed a reading of long ago."""

    def committed():
        plain.publish(f"{ROOT}position/p4/reading", reading(0.0, datetime(2026, 1, 1, tzinfo=UTC)))
        return plain.on(f"{ROOT}recorder/committed")

    await wait_for(committed)


async def test_readings_reach_the_disk_and_the_api(station, plain, tmp_path, now) -> None:
    async with recording(station, tmp_path):
        await started(plain)

        def told():
            plain.publish(f"{ROOT}position/p1/reading", reading(93.5, now, voltage_v=230.1))
            plain.publish(f"{ROOT}position/p2/reading", reading(None, now))
            plain.publish(f"{ROOT}battery/reading", {"ts": rfc3339(now), "soc_pct": 71.25, "device": "test"})
            return plain.on(f"{ROOT}recorder/committed")[-1].json["until"] == rfc3339(now)

        await wait_for(told)
        start, end = now - timedelta(seconds=1), now + timedelta(seconds=1)
        query = {"names": "p1_w,p2_w,p1_v,soc_pct,load_w", "start": rfc3339(start), "end": rfc3339(end), "step_s": "60"}
        answer = await ask(station, "/api/series", **query)
        found = {name: [value for value in values if value is not None] for name, values in answer["series"].items()}
        assert found == {"p1_w": [93.5], "p2_w": [], "p1_v": [230.1], "soc_pct": [71.25], "load_w": []}
        assert (await ask(station, "/healthz"))["committed_until"] == rfc3339(now)


async def test_an_event_gets_its_baseline_its_performance_and_its_report(station, plain, tmp_path, now) -> None:
    start, end = seed_event(tmp_path, now)
    async with recording(station, tmp_path):
        await started(plain)
        state = {
            "ts": rfc3339(start),
            "phase": "ongoing",
            "mode_commanded": 5,
            "mode_confirmed": 5,
            "reason": "holding",
            "reason_code": "hold",
        }
        plain.publish(f"{ROOT}controller/state", state, retain=True)
        plain.publish(f"{ROOT}event/e1", event("e1", start, end, "completed"), retain=True)
        baseline, performance = await whole_figures(plain)

        assert [one["import_wh"] for one in baseline["intervals"]] == [100.0, 50.0]
        assert [one["start"] for one in baseline["intervals"]] == [rfc3339(start), rfc3339(start + timedelta(hours=1))]
        assert performance["final"]
        assert performance["intervals"][1]["end"] == rfc3339(end)
        for one, share in zip(performance["intervals"], (1.0, 0.5), strict=True):
            assert one["import_wh"] == pytest.approx(20 * share, rel=0.03)
            assert one["reduction_wh"] == pytest.approx(one["baseline_wh"] - one["import_wh"], abs=0.01)
        assert performance["avoided_wh"] == pytest.approx(120, rel=0.02)
        assert performance["covered"] == 1.0

        assert [one["id"] for one in await ask(station, "/api/events")] == ["e1"]
        async with asyncio.timeout(5):  # it is told on the bus before it is on disk
            while not ((report := await ask(station, "/api/events/e1/report"))["baseline"] and report["final"]):
                await asyncio.sleep(0.05)
        assert report["event"]["id"] == "e1"
        assert (report["baseline"], report["performance"]) == (baseline, performance)
        assert [(one["mode"], one["reason"]) for one in report["decisions"]] == [(5, "holding")]

        plain.publish(f"{ROOT}event/e1", b"", retain=True)
        await wait_for(lambda: plain.on(f"{ROOT}event/e1/baseline")[-1].payload == b"")
        await wait_for(lambda: plain.on(f"{ROOT}event/e1/performance")[-1].payload == b"")
        assert [one["id"] for one in await ask(station, "/api/events")] == ["e1"]


async def test_a_running_event_is_settled_as_far_as_readings_go(station, plain, tmp_path, now) -> None:
    start, _ = seed_event(tmp_path, now)
    async with recording(station, tmp_path):
        await started(plain)
        plain.publish(f"{ROOT}event/e1", event("e1", start, now + timedelta(hours=1), "ongoing"), retain=True)
        performance = (await wait_for(lambda: plain.on(f"{ROOT}event/e1/performance")))[-1].json
        assert not performance["final"]
        assert rfc3339(now - timedelta(minutes=2)) < performance["intervals"][-1]["end"] <= rfc3339(now)


async def test_what_is_retained_is_not_a_new_fact_after_a_restart(station, plain, tmp_path, now) -> None:
    start, end = seed_event(tmp_path, now)
    plain.publish(f"{ROOT}event/e1", event("e1", start, end, "completed"), retain=True)
    before = 0
    for restarts in range(2):
        # The second time with a new time, as a bridge that was started again says the same.
        plain.publish(f"{ROOT}relay/p1/state", {"ts": rfc3339(now + timedelta(seconds=restarts)), "on": True}, retain=True)
        async with recording(station, tmp_path):
            heard = len(plain.on(f"{ROOT}event/e1/performance"))
            await wait_for(lambda: len(plain.on(f"{ROOT}event/e1/performance")) > (heard if restarts else 0), 20)  # noqa: B023 - at once
            await whole_figures(plain)
            assert len(await states(station, "relay/p1/state", now)) == 1
            assert len(await states(station, "event/e1", start)) == 1
            kept = len(await states(station, "event/e1/baseline", now))
            assert kept == (before if restarts else kept)
            before = kept
    assert len({one.json["ts"] for one in plain.on(f"{ROOT}event/e1/performance")}) == 1


async def test_a_renewal_of_the_same_decision_is_stored_once(station, plain, tmp_path, now) -> None:
    async with recording(station, tmp_path):
        await started(plain)
        for i, (phase, reason) in enumerate([("normal", "71 %"), ("normal", "70 %"), ("ongoing", "70 %")]):
            state = {"ts": rfc3339(now + timedelta(seconds=i)), "phase": phase, "mode_commanded": 2, "mode_confirmed": 2}
            plain.publish(f"{ROOT}controller/state", state | {"reason": reason, "reason_code": "rest"}, retain=True)
        while not (stored := await states(station, "controller/state", now)) or stored[-1]["payload"]["phase"] != "ongoing":
            await asyncio.sleep(0.05)
        assert [one["payload"]["phase"] for one in stored] == ["normal", "ongoing"]


async def test_figures_of_an_event_that_is_gone_are_withdrawn(station, plain, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("services.recorder.accounts.SWEEP_S", 0.5)
    left = {"ts": rfc3339(datetime.now(UTC)), "event_id": "old", "method": "m", "days": [], "intervals": []}
    plain.publish(f"{ROOT}event/old/baseline", left, retain=True)
    async with recording(station, tmp_path):
        await wait_for(lambda: any(heard.payload == b"" for heard in plain.on(f"{ROOT}event/old/baseline")))


async def test_a_port_in_use_is_told_and_recording_goes_on(station, plain, tmp_path, now, monkeypatch) -> None:
    monkeypatch.setattr("services.recorder.service.RETRY_LISTEN_S", 0.2)
    status = f"{ROOT}service/recorder/status"
    with socket.create_server(("127.0.0.1", station.recorder.api.port)):
        async with asyncio.timeout(20), recording(station, tmp_path):
            await wait_for(lambda: any("cannot answer at" in h.json["detail"] for h in plain.on(status)))

            def told():
                plain.publish(f"{ROOT}position/p1/reading", reading(1.0, now))
                return plain.on(f"{ROOT}recorder/committed")

            await wait_for(told)


async def test_bad_readings_are_refused_with_a_clear_line(station, plain, tmp_path, now) -> None:
    async with recording(station, tmp_path):
        await started(plain)

        def told():
            plain.publish(f"{ROOT}position/p1/reading", reading(93_500.0, now))
            return [h.json for h in plain.on(f"{ROOT}service/recorder/error")]

        refused = (await wait_for(told))[0]
        assert (refused["field"], refused["value"], refused["topic"]) == ("p1_w", "93500", f"{ROOT}position/p1/reading")
        assert "between -30000 and 30000 W" in refused["remedy"]


async def whole_figures(plain):
    """Baseline and performance of e1 once the estimate of the load, which takes its time, stands in both."""
    baselines, performances = (f"{ROOT}event/e1/{part}" for part in ("baseline", "performance"))
    await wait_for(lambda: any(heard.json["load_method"] for heard in plain.on(baselines)), 60)
    await wait_for(lambda: any(heard.json["intervals"][0]["load_estimate_wh"] is not None for heard in plain.on(performances)), 60)
    return plain.on(baselines)[-1].json, plain.on(performances)[-1].json


async def states(station, topic, around):
    """What is stored under `topic`, once anything is."""
    query = {"topic": topic, "start": rfc3339(around - timedelta(days=1)), "end": rfc3339(around + timedelta(days=1))}
    async with asyncio.timeout(5):
        while not (found := await ask(station, "/api/states", **query)):
            await asyncio.sleep(0.05)
    return found
