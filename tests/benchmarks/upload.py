"""Upload after a week offline at level `full`, beside a bare `requests` loop that posts the same bodies."""

import asyncio
import contextlib
import gzip
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import psutil
import requests

from services.bus import interpreter
from services.bus.clock import SystemClock
from services.core.config.aggregator import AggregatorHttp
from services.core.preferences import SharingLevel
from services.core.sharing_fields import FIELDS
from services.gateway.aggregator_link.collecting import Collector
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.posting import Poster
from services.gateway.aggregator_link.sending import Sender
from services.gateway.aggregator_link.sent_log import SentLog
from services.gateway.aggregator_link.uploading import Uploader
from services.gateway.recorder_link import RecorderLink
from services.recorder.journal import FILE_NAME, Journal
from tests.benchmarks import journals
from tests.benchmarks.figure import Figure
from tests.support.uploads import ABLE, NoEvents

BATCH = 1000
REPEATS = 3


@contextmanager
def serving(module: str, argument: Path) -> Iterator[str]:
    """A process that prints its port; its address."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", str(argument)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


async def ours(url: str, recorder: str, folder: Path, rows: int) -> tuple[float, float, float, list[tuple[str, bytes]]]:
    """Rows a second, the process's memory before and at its highest (MB), and the bodies that were sent."""
    gateway = folder / "var" / "gateway"
    gateway.mkdir(parents=True)
    consent, sent = ConsentBook(gateway), SentLog(gateway)
    hourly_off = {one.name: False for one in FIELDS if one.name.startswith("hourly.")}
    consent.choose(SharingLevel.FULL, hourly_off, datetime.now(UTC), share_past=True)
    settings = AggregatorHttp(url=url, batch_records=BATCH)
    uploader = Uploader(
        Collector(RecorderLink(recorder), "Borough", "demo"),
        Poster(Sender(settings, folder / "var"), sent, SystemClock(), url),
        consent,
        Random(1),
        batch_records=BATCH,
        followed=NoEvents(),
        able=ABLE,
        tell=lambda message, _: print(message, file=sys.stderr),
    )
    interpreter.take_turns()  # as every service does
    memory = psutil.Process().memory_info
    before = highest = memory().rss
    began = time.perf_counter()
    task = asyncio.create_task(uploader.run())
    while uploader.progress.state != "idle":
        await asyncio.sleep(0.05)
        highest = max(highest, memory().rss)
        assert time.perf_counter() - began < 300, uploader.progress
    took_s = time.perf_counter() - began
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    bodies = [(entry.kind, entry.body.encode()) for entry in reversed(sent.page(None, 200))]
    sent.close()
    return rows / took_s, before / 1e6, highest / 1e6, [one for one in bodies if one[0] == "full"]


def bare(url: str, bodies: list[bytes], rows: int) -> float:
    """Rows a second of a plain loop over the same bodies, packed the same way."""
    began = time.perf_counter()
    with requests.Session() as session:
        for number, body in enumerate(bodies):
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Idempotency-Key": f"bare-{number:08}"}
            packed = gzip.compress(body, 3)
            session.post(f"{url}/v1/stations/demo/batches", data=packed, headers=headers, timeout=30).raise_for_status()
    return rows / (time.perf_counter() - began)


def run(folder: Path, journal: Path, rows: int) -> tuple[float, float, float, float]:
    """Both, one after the other, each against a server of its own."""
    with serving("recorder_api", journal) as recorder:
        with serving("receiver", folder / "ours.db") as url:
            rate, before, highest, bodies = asyncio.run(ours(url, recorder, folder, rows))
        with serving("receiver", folder / "bare.db") as url:
            alone = bare(url, [body for _, body in bodies], rows)
    for name in ("ours.db", "bare.db"):
        stored = sqlite3.connect(folder / name).execute("SELECT count(*) FROM record").fetchone()[0]
        assert stored == rows, f"{name}: {stored} of {rows} rows"
    return rate, alone, before, highest


def measure() -> list[Figure]:
    """The median of a few runs."""
    with tempfile.TemporaryDirectory(prefix="sps-bench-", dir=".") as name:
        folder = Path(name)
        rows = dict(journals.encoded(journals.week(journals.END)))
        journal = Journal(folder / FILE_NAME)
        journal.write(rows)
        journal.close()
        runs = []
        for number in range(REPEATS):
            (folder / str(number)).mkdir()
            runs.append(run(folder / str(number), journal.path, len(rows)))
    rate, alone, before, highest = sorted(runs, key=lambda one: one[0] / one[1])[REPEATS // 2]
    conditions = (
        f"{len(rows)} rows of 20 series, a week at {journals.STEP_S} s, from the recorder's query API (its own process) to a server that "
        f"unpacks, checks and stores them in SQLite with FULL (another); {BATCH} rows a batch, gzip, one connection, median of {REPEATS}; "
        f"memory of the uploading process {before:.0f} MB before and {highest:.0f} MB at most; reference: a bare requests loop that packs "
        f"and posts the same bodies to the same server"
    )
    return [Figure("upload", rate, "rows/s", alone, 0.8, conditions, goal_on="ratio", better="higher")]
