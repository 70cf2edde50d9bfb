"""What a card bears: bytes a sample, bytes dirtied a day, how long upkeep holds a commit up, and how fast readings go in."""

import csv
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from pathlib import Path

from services.bus.messages.devices import BatteryReadingMessage, PositionReading
from services.core.positions import Position
from services.recorder import keeping, retention
from services.recorder.history import History
from services.recorder.intake import Intake
from services.recorder.journal import FILE_NAME, Journal, StateRow
from services.recorder.retention import Kept
from services.recorder.series import SERIES, Steps
from tests.benchmarks import journals
from tests.benchmarks.figure import Figure
from tests.benchmarks.journals import END, GAP_S, REACH_MS, STEP_S

COMMIT_S = 30
EVENTS = 60
"""Messages a day that are committed at once."""
UPSTREAM_S = 120
LIVE_READINGS_PER_S = 5.0
"""Four positions and the battery, each polled once a second."""
INGEST_S = 3600


def written_bytes() -> int:
    """What this process has sent towards the disk so far."""
    return int(next(line.split()[1] for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("write_bytes")))


def dirtied(work: Callable[[Path], None]) -> float:
    """MB that `work` dirties in a folder on disk."""
    with tempfile.TemporaryDirectory(prefix="sps-bench-", dir=".") as name:
        before = written_bytes()
        work(Path(name))
        return (written_bytes() - before) / 1e6


def a_day(folder: Path) -> None:
    """A day's readings as the recorder commits them, rollups and retention included."""
    journal = Journal(folder / FILE_NAME)
    start = END - timedelta(days=1)
    batch: dict[int, list[int | None]] = {}
    begin_ms = round(start.timestamp() * 1000)
    for i, (ts, row) in enumerate(islice(journals.encoded(journals.week(start)), 86_400 // STEP_S), start=1):
        batch[ts] = row
        if i % (COMMIT_S // STEP_S) == 0:
            journal.write(batch)
            batch = {}
            keeping.keep_up(journal, GAP_S, REACH_MS)
        if i % (86_400 // STEP_S // EVENTS) == 0:
            journal.write({}, [StateRow("controller/state", ts, json.dumps({"phase": "normal", "mode_commanded": 2, "reason": "x" * 200}))])
    assert begin_ms < max(ts for (ts,) in journal.ask("SELECT max(ts) FROM reading"))
    journal.close()


def a_day_of_csv(folder: Path) -> None:
    """Upstream's way: at each sample the day's file is read and written anew."""
    path = folder / "day.csv"
    for ts, values in islice(journals.week(END - timedelta(days=1)), 0, 86_400 // STEP_S, UPSTREAM_S // STEP_S):
        rows = list(csv.reader(path.open())) if path.exists() else [["ts", *values]]
        rows.append([ts.isoformat(), *(f"{value:.2f}" for value in values.values())])
        with path.open("w") as file:
            csv.writer(file).writerows(rows)


def csv_bytes_per_sample() -> float:
    """The same readings as text."""
    rows = list(islice(journals.week(END - timedelta(days=1)), 2000))
    text = sum(len(",".join([ts.isoformat(), *(f"{value:.2f}" for value in values.values())])) + 1 for ts, values in rows)
    return text / (len(rows) * len(rows[0][1]))


def upkeep_stall_ms() -> tuple[float, int, float]:
    """Drop the oldest two months of a year and give their room back: the longest slice, how many there were, and MB."""
    with tempfile.TemporaryDirectory(prefix="sps-bench-", dir=".") as name:
        path = Path(name) / FILE_NAME
        shutil.copy(journals.years(1), path)
        before = path.stat().st_size
        journal = Journal(path)
        worst_s, slices = 0.0, 0
        for kept, vacuum in ((Kept(timedelta(days=300)), False), (Kept(timedelta(days=300)), True)):
            more = True
            while more:
                began = time.perf_counter()
                more = retention.vacuum_slice(journal, END) if vacuum else retention.drop_slice(journal, END, kept).more
                worst_s, slices = max(worst_s, time.perf_counter() - began), slices + 1
        assert journal.ask("PRAGMA quick_check") == [("ok",)]
        journal.close()
        return worst_s * 1000, slices, (before - path.stat().st_size) / 1e6


def ingest_per_s() -> tuple[float, int]:
    """Readings a second from JSON to disk while the day's chart is asked for all the time, and how often it was answered."""
    with tempfile.TemporaryDirectory(prefix="sps-bench-", dir=".") as name:
        path = Path(name) / FILE_NAME
        journal = Journal(path)
        journal.append_rows(islice(journals.week(END - timedelta(days=1)), 86_400 // STEP_S))
        answered = []
        halt = threading.Event()

        def ask() -> None:
            history = History(path)
            while not halt.wait(0.1):
                history.series(SERIES, Steps(int(END.timestamp()) - 86_400, 60, 1440), GAP_S)
                answered.append(1)

        reader = threading.Thread(target=ask)
        reader.start()
        payloads: list[tuple[str, str]] = []
        for i in range(INGEST_S):
            ts = (END + timedelta(seconds=i)).isoformat()
            payloads += [
                (p, json.dumps({"ts": ts, "power_w": 93.5 + i % 50, "voltage_v": 120.1, "energy_wh": 5000.5 + i, "device": "x"}))
                for p in Position
            ]
            payloads.append(
                ("battery", json.dumps({"ts": ts, "soc_pct": 50, "ac_out_w": i % 90, "dc_in_w": 3, "ac_output_on": True, "device": "x"}))
            )
        intake = Intake()
        now = END + timedelta(seconds=INGEST_S)
        began = time.perf_counter()
        for i, (source, payload) in enumerate(payloads, start=1):
            if source == "battery":
                intake.battery(BatteryReadingMessage.model_validate_json(payload), now=now, speed=1)
            else:
                intake.position(source, PositionReading.model_validate_json(payload), now=now, speed=1)
            if i % round(COMMIT_S * LIVE_READINGS_PER_S) == 0:
                journal.write(intake.take().rows)
                keeping.keep_up(journal, GAP_S, REACH_MS)
        took_s = time.perf_counter() - began
        halt.set()
        reader.join()
        journal.close()
        return len(payloads) / took_s, len(answered)


def measure() -> list[Figure]:
    """All of them."""
    samples = journals.SAMPLES_PER_DAY * round(365.25 / 7) * 7
    per_sample = journals.years(1).stat().st_size / samples
    stall_ms, slices, given_back_mb = upkeep_stall_ms()
    per_s, answers = ingest_per_s()
    return [
        Figure(
            "bytes_per_sample",
            per_sample,
            "B",
            csv_bytes_per_sample(),
            5,
            f"{samples / 1e6:.0f} million samples: 52 weeks of 20 series each {STEP_S} s (one simulated noisy week, repeated with running "
            "counters), readings and all rollups, file size after a checkpoint; reference: the same samples as CSV text",
        ),
        Figure(
            "dirtied_per_day",
            dirtied(a_day),
            "MB",
            dirtied(a_day_of_csv),
            50,
            f"write_bytes of /proc/self/io over a day's writes: 20 series each {STEP_S} s, commits each {COMMIT_S} s with "
            f"synchronous=FULL, {EVENTS} messages committed at once, rollups by the hour; reference: upstream's way, "
            f"the day's CSV read and written anew at each sample, one each {UPSTREAM_S} s",
        ),
        Figure(
            "upkeep_stall",
            stall_ms,
            "ms",
            None,
            250,
            f"the longest of {slices} slices that drop the oldest two months of a year and give {given_back_mb:.0f} MB back to the disk: "
            "so long a commit may have to wait for the writing thread",
        ),
        Figure(
            "ingest",
            per_s,
            "readings/s",
            LIVE_READINGS_PER_S,
            50,
            f"{INGEST_S * 5} readings from JSON to disk, one thread, a commit (FULL) for each {COMMIT_S} s of them, while the last "
            f"day of all series was asked for {answers} times; reference: the live rate, five readings a second",
            goal_on="ratio",
            better="higher",
        ),
    ]
