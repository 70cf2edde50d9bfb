"""Journals of whole years for the benchmarks: a week as a home might have it, written by the recorder's own code, then repeated."""

import atexit
import math
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from services.recorder import day_table, keeping, schema
from services.recorder.columns import COLUMNS, NAMES
from services.recorder.journal import Journal
from services.recorder.rollups import COUNTERS, LEVELS, ROLLED

STEP_S = 10
GAP_S = 50.0
REACH_MS = 150_000
WEEK_S = 7 * 86_400
END = datetime(2026, 11, 2, tzinfo=UTC)
"""A Monday."""
ZONE = ZoneInfo("Europe/Paris")
"""Of the shipped station, whose days are kept ready."""
SAMPLES_PER_DAY = len(NAMES) * 86_400 // STEP_S


def week(start: datetime, *, seed: int = 1) -> Iterator[tuple[datetime, dict[str, float]]]:
    """A reading of all series each ten seconds, noisy as meters are."""
    chance = random.Random(seed)
    counters = dict.fromkeys(COUNTERS, 500_000.0)
    soc = 70.0
    for i in range(WEEK_S // STEP_S):
        hour = i * STEP_S / 3600 % 24
        load = 60 + 120 * math.exp(-((hour - 19) ** 2) / 6) + chance.uniform(0, 40)
        powers = {
            "p1": load,
            "p2": chance.uniform(0, 0.6),
            "p3": chance.uniform(0, 3),
            "p4": max(0.0, 150 * math.sin((hour - 6) / 12 * math.pi)),
        }
        for position, power in powers.items():
            counters[f"{position}_wh"] += power * STEP_S / 3600
        soc = min(max(soc + chance.uniform(-0.05, 0.05), 20), 100)
        yield (
            start + timedelta(seconds=i * STEP_S),
            {
                **{f"{position}_w": power for position, power in powers.items()},
                **{f"{position}_v": 120 + chance.uniform(-2, 2) for position in powers},
                **counters,
                "soc_pct": round(soc),
                "estimate_pct": soc,
                **{f"{port}_w": round(chance.uniform(0, 150)) for port in ("ac_in", "ac_out", "dc_in", "dc_out")},
                "ac_output_on": 1,
                "eco_mode": 0,
            },
        )


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="sps-bench-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def years(count: int) -> Path:
    """A journal of `count` years of readings up to END, with their rollups, kept for this run."""
    path = _folder() / f"{count}y" / "journal.db"
    began = time.perf_counter()
    weeks = round(count * 365.25 / 7)
    journal = Journal(path)
    journal.append_rows(week(END - timedelta(days=7)))
    # The last hour waits for what comes after it; a row of the next week lets it end.
    while keeping.keep_up(journal, GAP_S, REACH_MS):
        pass
    with journal.transaction() as db:
        schema.set_meta(db, schema.ROLLED_UNTIL, int(END.timestamp()) - 3600)
    journal.close()
    _repeat(path, weeks - 1)
    journal = Journal(path)
    while day_table.keep_days(journal, ZONE):
        pass
    journal.close()
    print(
        f"  a journal of {count} years: {path.stat().st_size / 1e6:.0f} MB in {time.perf_counter() - began:.0f} s",
        file=sys.stderr,
        flush=True,
    )
    return path


def _repeat(path: Path, times: int) -> None:
    """Put the last week `times` before itself, its counters lower each time."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    per_week = {name: db.execute(f"SELECT max({name}) - min({name}) FROM reading").fetchone()[0] for name in COUNTERS}
    tables = [("reading", "ts", WEEK_S * 1000, NAMES), *((level.table, "key", WEEK_S // level.width_s, ROLLED) for level in LEVELS)]
    db.execute("BEGIN")
    for table, key, length, columns in tables:
        values = ", ".join(f"{name} - ?2 * {per_week[name]}" if name in per_week else name for name in columns)
        db.execute(f"CREATE TEMP TABLE week AS SELECT * FROM main.{table}")
        db.execute(f"DELETE FROM main.{table}")
        for back in range(times, -1, -1):
            db.execute(f"INSERT INTO main.{table} SELECT {key} - ?1 * ?2, {values} FROM temp.week", (length, back))
        db.execute("DROP TABLE temp.week")
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def encoded(rows: Iterator[tuple[datetime, dict[str, float]]]) -> Iterator[tuple[int, list[int | None]]]:
    """Rows as the journal writes them."""
    for ts, values in rows:
        yield round(ts.timestamp() * 1000), [COLUMNS[name].encode(values[name]) for name in NAMES]
