"""Ten thousand light stations at the reference aggregator: one event to all, their hourly data, and what a station costs.

Everything is on this machine, in three processes: Mosquitto, the aggregator, and the stations, each with a TCP connection of its own.
"""

import asyncio
import os
import platform
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import func, select

from services.aggregator.calling import Typed
from services.aggregator.store.schema import answer
from services.bus.clock import SystemClock
from services.bus.uplink.batches import HourBatch
from services.bus.uplink.signing import public_key
from services.simulator.fleet.crowd import Credentials, Crowd
from services.simulator.fleet.home import full_hours
from services.simulator.fleet.records import hours
from services.simulator.fleet.uploads import Uploads
from tests.benchmarks.figure import Figure
from tests.benchmarks.progress import line
from tests.support.aggregator import NETWORK, Aggregator

SIZES = (100, 1_000, 10_000)
EVENTS = 3
HOURS = 24
SHARE = 0.99
INGEST_GOAL = 1_000.0
"""Records/s; ours: a day of hours of ten thousand homes in four minutes."""
LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One size of fleet."""

    stations: int
    connect_s: float
    fanout_s: list[float]
    """Of each event: from its call until 99 % of the answers are on disk."""
    cpu_s: float
    """Of broker, aggregator and stations together, for one event answered by all."""
    memory_kb: float
    """Of all three, for each station."""
    upload_s: float
    records: int
    failed: int

    @property
    def cpu_ms(self) -> float:
        """Of one station's answer, all parts together."""
        return 1000 * self.cpu_s / self.stations


def measure() -> list[Figure]:
    """All three figures."""
    found = {size: asyncio.run(_measured(size)) for size in SIZES}
    largest, small, middle = found[SIZES[-1]], found[SIZES[0]], found[SIZES[1]]
    fanout = sorted(largest.fanout_s)[EVENTS // 2]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, Mosquitto, all on one machine"
    growth = ", ".join(f"{one.stations}: {one.cpu_ms:.2f} ms and {one.memory_kb:.0f} kB" for one in found.values())
    rate = largest.records / largest.upload_s
    return [
        Figure(
            "fleet_fanout",
            fanout,
            "s",
            None,
            5,
            f"{SIZES[-1]} light stations, a TCP connection each (connected in {largest.connect_s:.0f} s); one signed event to all, until"
            f" {SHARE:.0%} of the answers are committed (SQLite, synchronous=FULL); median of {EVENTS}:"
            f" {', '.join(f'{one:.2f}' for one in largest.fanout_s)} s, {largest.cpu_s:.1f} s of CPU in"
            " all; the stations of one process check a message's signature once;"
            f" {machine}",
        ),
        Figure(
            "fleet_ingest",
            rate,
            "records/s",
            _bare(largest.records),
            INGEST_GOAL,
            f"{largest.records} hourly records of {SIZES[-1]} stations, {HOURS} in a batch, gzip and bearer, over 8 HTTP connections, each"
            f" batch committed before its answer; {largest.failed} failed; {machine}; reference: the same rows in batches of the same size"
            " inserted by sqlite3 alone, a commit (synchronous=FULL) for each batch",
            better="higher",
        ),
        Figure(
            "fleet_growth",
            largest.cpu_ms,
            "ms CPU",
            min(small.cpu_ms, middle.cpu_ms),
            1.2,
            f"CPU time of broker, aggregator and stations for one station's answer to one event, and resident memory of the three, by size"
            f" of the fleet: {growth}; {machine}; reference: the cheaper of the smaller fleets (in a small one few share the fixed cost)",
            goal_on="ratio",
        ),
    ]


async def _measured(size: int) -> Measured:
    with _running() as aggregator:
        names = [f"fleet-{number:05d}" for number in range(size)]
        secrets = aggregator.context.station_secrets()
        known = aggregator.desk.enrol(names)
        credentials = [
            Credentials(one.name, secrets.mqtt(one.name, one.generation), secrets.http(one.name, one.generation)) for one in known
        ]
        await asyncio.sleep(2)  # the broker reads its files again within half a second
        before_kb = _memory_kb(aggregator)
        keys = {aggregator.file.key_id: public_key(aggregator.context.public_key())}
        crowd = Crowd(credentials, NETWORK, ("127.0.0.1", aggregator.file.broker.port), keys, SystemClock(), random=random.Random(1))
        try:
            started = time.monotonic()
            told = line(f"{size} stations connect")
            await crowd.connect(told)
            connect_s = time.monotonic() - started
            await _settled(aggregator)
            fanout_s, cpu_s = [], []
            for number in range(EVENTS):
                before_s = _cpu_s(aggregator)
                fanout_s.append(await _fanout(aggregator, size, f"event-{number}"))
                cpu_s.append(_cpu_s(aggregator) - before_s)
            memory_kb = (_memory_kb(aggregator) - before_kb) / size
        finally:
            await crowd.close()
        upload_s, records, failed = await asyncio.to_thread(_upload, aggregator, crowd)
        return Measured(size, connect_s, fanout_s, sorted(cpu_s)[EVENTS // 2], memory_kb, upload_s, records, failed)


async def _fanout(aggregator: Aggregator, size: int, event_id: str) -> float:
    """Seconds from the call until the answers are kept; then until they all are."""
    asked = select(func.count()).where(answer.c.event_id == event_id)
    started = time.monotonic()
    await asyncio.to_thread(aggregator.desk.call, Typed("now", "PT4H", "pledge", "150"), event_id)
    enough_s, deadline = None, started + LONGEST_S
    while time.monotonic() < deadline:
        kept = await asyncio.to_thread(aggregator.read, lambda connection: connection.execute(asked).scalar_one())
        if enough_s is None and kept >= SHARE * size:
            enough_s = time.monotonic() - started
        if kept >= size:
            break
        await asyncio.sleep(0.02)
    if enough_s is None:
        raise RuntimeError(f"fewer than {SHARE:.0%} of {size} stations had answered after {LONGEST_S:g} s")
    await _settled(aggregator)
    return enough_s


async def _settled(aggregator: Aggregator) -> None:
    """Until the aggregator and its broker rest, so that what one event costs is not counted for the next."""
    quiet = 0
    while quiet < 3:
        before_s = _cpu_s(aggregator, own=False)
        await asyncio.sleep(0.3)
        quiet = quiet + 1 if _cpu_s(aggregator, own=False) - before_s < 0.05 else 0


def _upload(aggregator: Aggregator, crowd: Crowd) -> tuple[float, int, int]:
    """Seconds for the hourly data of all, how many records that is, and how many uploads failed."""
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    starts = full_hours(until - timedelta(hours=HOURS), until)
    batches = [
        (station.credentials, HourBatch(kind="hourly", network=NETWORK, cursor="1", records=tuple(hours(station.home, starts, ()))))
        for station in crowd.stations
    ]
    told = line(f"{len(batches)} stations upload")
    started = time.monotonic()
    uploads = Uploads(aggregator.url)
    for who, batch in batches:
        uploads.add(who, batch)
    while uploads.left:
        time.sleep(0.05)
        told(len(batches) - uploads.left, len(batches))
    took_s = time.monotonic() - started
    uploads.close()
    return took_s, uploads.sent.records, uploads.sent.failed


@contextmanager
def _running() -> Iterator[Aggregator]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        aggregator = Aggregator(Path(folder), api={"batches_per_minute": 10_000})
        try:
            aggregator.start()
            yield aggregator
        finally:
            aggregator.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _processes(aggregator: Aggregator) -> list[psutil.Process]:
    main = psutil.Process(aggregator.pid)
    return [main, *main.children(recursive=True)]


def _cpu_s(aggregator: Aggregator, *, own: bool = True) -> float:
    used_s = sum(sum(one.cpu_times()[:2]) for one in _processes(aggregator))
    return used_s + (time.process_time() if own else 0.0)


def _memory_kb(aggregator: Aggregator) -> float:
    return float(sum(one.memory_info().rss for one in [*_processes(aggregator), psutil.Process()]) / 1024)


def _bare(records: int) -> float:
    """Rows a second that sqlite3 alone takes, a commit for each batch."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE record (station TEXT, kind TEXT, key TEXT, at INTEGER, body TEXT, PRIMARY KEY (station, kind, key))"
        )
        body = '{"start":"2026-06-01T00:00:00.000Z","p1_wh":123.4,"p2_wh":0.0,"p3_wh":0.0,"soc_pct":100.0,"covered":1.0}'
        batches = min(2_000, records // HOURS)
        started = time.monotonic()
        for station in range(batches):
            connection.execute("BEGIN IMMEDIATE")
            rows = [(f"fleet-{station:05d}", "hourly", f"2026-06-01T{hour:02}", hour, body) for hour in range(HOURS)]
            connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
        took_s = time.monotonic() - started
        connection.close()
        return batches * HOURS / took_s


if __name__ == "__main__":
    # A quick look at one size: `python -m tests.benchmarks.fleet 1000`.
    print(asyncio.run(_measured(int(sys.argv[1]))))
