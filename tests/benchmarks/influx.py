"""How fast a backlog goes to InfluxDB, beside a bare client that writes the same lines."""

import asyncio
import contextlib
import tempfile
import time
from itertools import islice
from pathlib import Path
from random import Random

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

from services.bus.clock import SystemClock
from services.core.config.station import InfluxFeed
from services.recorder.history import History
from services.recorder.influx_feed import Feed
from services.recorder.influx_points import groups, lines
from services.recorder.journal import FILE_NAME, Journal
from tests.benchmarks import journals
from tests.benchmarks.figure import Figure
from tests.support.victoria import victoria

ROWS = 30_000
BATCH = 1000
REPEATS = 3


def bare(url: str, batches: list[str]) -> float:
    """Points a second of the library alone, its lines made beforehand."""
    with InfluxDBClient(url=url, token="t", org="home") as client:
        write = client.write_api(write_options=SYNCHRONOUS)
        began = time.perf_counter()
        for batch in batches:
            write.write("station", "home", record=batch, write_precision="ms")
        return sum(batch.count("\n") + 1 for batch in batches) / (time.perf_counter() - began)


async def feed(url: str, journal: Path, var: Path) -> tuple[float, int, float]:
    """Points a second of the feed, how many, and how late a timer fired meanwhile at most (ms): live data feels no more."""
    made = Feed(
        InfluxFeed(url=url, org="home", bucket="station", token_file="influx", batch_rows=BATCH),
        "demo",
        var,
        History(journal),
        SystemClock(),
        Random(1),
        settled_ms=lambda: 0,
        health=lambda _: None,
        tell=lambda _: None,
    )
    began = time.perf_counter()
    task = asyncio.create_task(made.run())
    late_s = 0.0
    while made.cursor is None or made.cursor.ts_ms == 0 or made.fed_points < ROWS * 5:
        before = time.perf_counter()
        await asyncio.sleep(0.01)
        late_s = max(late_s, time.perf_counter() - before - 0.01)
        assert before - began < 120
    rate = made.fed_points / (time.perf_counter() - began)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return rate, made.fed_points, late_s * 1000


def measure() -> list[Figure]:
    """The median of a few runs."""
    with tempfile.TemporaryDirectory(prefix="sps-bench-") as name:
        folder = Path(name)
        (folder / "secrets").mkdir()
        (folder / "secrets" / "influx").write_text("t\n")
        journal = Journal(folder / "var" / FILE_NAME)
        rows = dict(islice(journals.encoded(journals.week(journals.END)), ROWS))
        journal.write(rows)
        cut = groups("demo")
        flat = [(ts, *row) for ts, row in rows.items()]
        batches = ["\n".join(lines(flat[i : i + BATCH], cut)) for i in range(0, ROWS, BATCH)]
        with victoria(folder / "vm") as server:
            bare(server.url, batches[:3])
            runs = [(asyncio.run(feed(server.url, journal.path, folder / "var")), bare(server.url, batches)) for _ in range(REPEATS)]
        journal.close()
    (rate, points, late_ms), alone = sorted(runs)[REPEATS // 2]
    return [
        Figure(
            "influx_catch_up",
            rate,
            "points/s",
            alone,
            0.3,
            f"{points} points ({ROWS} rows) from the journal to VictoriaMetrics on the same machine, {BATCH} rows at once, "
            f"median of {REPEATS}; meanwhile a 10 ms timer of the same event loop fired {late_ms:.0f} ms late at most; "
            "reference: influxdb-client alone writing the same lines, made beforehand",
            goal_on="ratio",
            better="higher",
        )
    ]
