"""What the recorder survives: kill -9 at any time, a damaged file, a disk that refuses."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest

from services.recorder.columns import COLUMNS
from services.recorder.journal import FILE_NAME, Journal
from tests.support.recorder import ask, make_station, reading, recording, start_process, station_text
from tests.support.waiting import wait_for, wait_until

ROOT = "sps/demo/"
COMMITTED = f"{ROOT}recorder/committed"
KILLS = 6

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)


class Meter(threading.Thread):
    """Publishes a reading every few milliseconds, each with a time and a power of its own."""

    def __init__(self, plain) -> None:
        super().__init__(daemon=True)
        self.sent = {}
        self._plain = plain
        self._halt = threading.Event()

    def run(self) -> None:
        while not self._halt.wait(0.005):
            ts = datetime.now(UTC)
            ts_ms = int(ts.timestamp() * 1000)
            power_w = float(len(self.sent))
            self.sent[ts_ms] = power_w
            ts = datetime.fromtimestamp(ts_ms / 1000, UTC)
            self._plain.publish(f"{ROOT}position/p1/reading", reading(power_w, ts), qos=0)

    def stop(self) -> None:
        self._halt.set()
        self.join()


def in_journal(path):
    db = sqlite3.connect(path)
    found = {ts: COLUMNS["p1_w"].decode(power) for ts, power in db.execute("SELECT ts, p1_w FROM reading")}
    db.close()
    return found


def until_ms(heard):
    return round(datetime.fromisoformat(heard.json["until"]).timestamp() * 1000)


def test_no_acknowledged_reading_is_lost_to_kill_9(broker, plain, tmp_path) -> None:
    station_file = tmp_path / "station.yaml"
    station_file.write_text(station_text(broker), encoding="utf-8")
    acknowledged = {}
    for kill in range(KILLS):
        before = len(plain.on(COMMITTED))
        process = start_process(station_file, tmp_path)
        meter = Meter(plain)
        meter.start()
        try:
            # More commits before each kill, so that it comes at another moment of the WAL's life.
            acks = wait_until(lambda: heard if len(heard := plain.on(COMMITTED)[before:]) >= 2 + 3 * kill else None, 20)  # noqa: B023
            os.kill(process.pid, signal.SIGKILL)
            acks = plain.on(COMMITTED)[before:]
        finally:
            process.kill()
            process.wait()
            meter.stop()
        # What was published before the recorder listened was never acknowledged.
        first, last = until_ms(acks[0]), until_ms(acks[-1])
        acknowledged |= {ts: power_w for ts, power_w in meter.sent.items() if first <= ts <= last}
    found = in_journal(tmp_path / "recorder" / FILE_NAME)
    assert len(acknowledged) > 50
    assert {ts: found.get(ts) for ts in acknowledged} == acknowledged


async def test_a_damaged_journal_is_set_aside_recovered_and_the_person_told(broker, plain, tmp_path) -> None:
    folder = tmp_path / "recorder"
    now = datetime.now(UTC).replace(microsecond=0)
    journal = Journal(folder / FILE_NAME)
    journal.append_rows((now - timedelta(seconds=20_000 - i), {"p1_w": i % 100}) for i in range(10_000))
    journal.close()
    with (folder / FILE_NAME).open("r+b") as file:
        file.write(b"\xff" * 4096)
    station = make_station(broker)
    async with recording(station, tmp_path):

        def told():
            plain.publish(f"{ROOT}position/p1/reading", reading(5.0, now))
            return plain.on(COMMITTED)

        await wait_for(told)
        found = await wait_for(
            lambda: [h.json["message"] for h in plain.on(f"{ROOT}service/recorder/error") if "recovered" in h.json["message"]], 20
        )
        assert "10000 readings" in found[0]
        assert any("set aside as journal.db.corrupt-" in h.json["message"] for h in plain.on(f"{ROOT}service/recorder/error"))
    assert len(in_journal(folder / FILE_NAME)) == 10_001


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB of its own, to be filled up."""
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(where)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs a small file system, and mounting one is refused here: {mounted.stderr.strip()}; run as root")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def remount(where, how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(where)], check=True)


async def test_a_disk_that_is_really_full_stalls_nothing_and_loses_nothing(broker, plain, small_disk, monkeypatch) -> None:
    monkeypatch.setattr("services.recorder.writer.RETRY_S", 0.2)
    station, now = make_station(broker), datetime.now(UTC).replace(microsecond=0)
    status = f"{ROOT}service/recorder/status"
    ballast = small_disk / "ballast"
    sent = {}

    def send(count):
        for _ in range(count):
            ts = now - timedelta(seconds=100) + timedelta(milliseconds=len(sent))
            sent[round(ts.timestamp() * 1000)] = len(sent) % 100.0
            plain.publish(f"{ROOT}position/p1/reading", reading(len(sent) % 100.0, ts), qos=0)

    async with recording(station, small_disk):
        await wait_for(lambda: send(1) or plain.on(COMMITTED))
        heard_from = len(sent)
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        await wait_for(lambda: send(20) or any("full" in h.json["detail"] for h in plain.on(status)), 15)
        send(500)
        answer = await ask(station, "/healthz")  # the service goes on answering
        assert answer["status"] == "ok"
        ballast.unlink()
        await wait_for(lambda: plain.on(status)[-1].json["health"] == "ok", 10)
    assert set(list(sent)[heard_from:]) <= in_journal(small_disk / "recorder" / FILE_NAME).keys()


async def test_a_read_only_card_is_told_and_recording_goes_on_once_it_can_be_written(broker, plain, small_disk, monkeypatch) -> None:
    monkeypatch.setattr("services.recorder.writer.RETRY_S", 0.2)
    station, now = make_station(broker), datetime.now(UTC).replace(microsecond=0)
    status = f"{ROOT}service/recorder/status"
    Journal(small_disk / "recorder" / FILE_NAME).close()
    remount(small_disk, "ro")
    async with recording(station, small_disk):
        degraded = await wait_for(lambda: [h.json for h in plain.on(status) if h.json["health"] == "degraded"])
        assert "kept in memory only" in degraded[0]["detail"]
        for i in range(20):
            plain.publish(f"{ROOT}position/p1/reading", reading(float(i), now - timedelta(seconds=20 - i)))
        remount(small_disk, "rw")
        await wait_for(lambda: plain.on(status)[-1].json["health"] == "ok", 10)
        # In one commit or in two: the card may come back between two of them.
        await wait_for(lambda: len(in_journal(small_disk / "recorder" / FILE_NAME)) >= 20, 10)
    assert list(in_journal(small_disk / "recorder" / FILE_NAME).values()) == [float(i) for i in range(20)]


async def test_a_disk_that_refuses_degrades_the_service_and_nothing_heard_is_lost(broker, plain, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("services.recorder.writer.RETRY_S", 0.2)
    blocked = tmp_path / "recorder"
    blocked.write_text("a file where the folder should be")
    station, now = make_station(broker), datetime.now(UTC).replace(microsecond=0)
    status = f"{ROOT}service/recorder/status"
    async with recording(station, tmp_path):
        degraded = await wait_for(lambda: [h.json for h in plain.on(status) if h.json["health"] == "degraded"])
        assert "kept in memory only" in degraded[0]["detail"]
        await wait_for(lambda: plain.heard)
        for i in range(20):
            plain.publish(f"{ROOT}position/p1/reading", reading(float(i), now - timedelta(seconds=20 - i)))
        assert not plain.on(COMMITTED)
        blocked.unlink()
        await wait_for(lambda: plain.on(COMMITTED))
        await wait_for(lambda: plain.on(status)[-1].json["health"] == "ok")
    assert list(in_journal(tmp_path / "recorder" / FILE_NAME).values()) == [float(i) for i in range(20)]


async def test_a_disk_that_fills_up_and_is_cleared_again(broker, plain, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("services.recorder.writer.RETRY_S", 0.2)
    opened = []

    class Limited(Journal):
        """A journal on a disk with room for a few pages more."""

        def __init__(self, path) -> None:
            super().__init__(path)
            opened.append(self)
            self.room(4)

        def room(self, pages: int) -> None:
            self._db.execute(f"PRAGMA max_page_count = {self._db.execute('PRAGMA page_count').fetchone()[0] + pages}")

    monkeypatch.setattr("services.recorder.journal.Journal", Limited)
    station, now = make_station(broker), datetime.now(UTC).replace(microsecond=0)
    status = f"{ROOT}service/recorder/status"
    async with recording(station, tmp_path):
        sent = []

        def send(count):
            for _ in range(count):
                ts = now + timedelta(milliseconds=len(sent))
                plain.publish(f"{ROOT}position/p1/reading", reading(len(sent) % 100.0, ts), qos=0)
                sent.append(round(ts.timestamp() * 1000))

        await wait_for(lambda: send(1) or plain.on(COMMITTED))
        heard_from = len(sent)
        full = "database or disk is full"
        await wait_for(lambda: send(20) or any(full in h.json["detail"] for h in plain.on(status)), 15)
        send(20)
        opened[0].room(10_000)
        await wait_for(lambda: plain.on(status)[-1].json["health"] == "ok")
    assert len(sent) > 100
    assert set(sent[heard_from:]) <= in_journal(tmp_path / "recorder" / FILE_NAME).keys()
