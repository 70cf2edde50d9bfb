"""How fast the journal answers, from one year and from five years of readings."""

import platform
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from services.bus.messages.events import EventMessage
from services.core.baseline import Interval, Measured
from services.core.config.load import parse_station
from services.core.config.policy import GoalSection
from services.core.energy import Quantity
from services.core.events import EventStatus
from services.core.goals import GoalKind, Method
from services.recorder import reckoning
from services.recorder.history import History
from services.recorder.series import Steps
from tests.benchmarks import journals
from tests.benchmarks.figure import Figure
from tests.benchmarks.journals import END, GAP_S

REPEATS = 21
POWERS = ("p1_w", "p2_w", "p3_w", "p4_w")
EVENT_START = datetime(2026, 10, 29, 15, tzinfo=UTC)
"""A Thursday, on the hour."""


def took_ms(work: Callable[[], object]) -> float:
    """The median of a few runs after one that warms the caches."""
    work()
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return median(found) * 1000


def event(start: datetime) -> EventMessage:
    """Four hours of an afternoon."""
    return EventMessage(
        ts=start,
        id="bench",
        revision=0,
        start=start,
        end=start + timedelta(hours=4),
        goal=GoalSection(kind=GoalKind.MINIMIZE),
        methods=(Method.REPLACEMENT,),
        priority=0,
        status=EventStatus.UPCOMING,
    )


class FromReadings(History):
    """Every window integrated from the readings, as before there were rollups."""

    def measured(self, windows: list[Interval], max_gap_s: float) -> list[Measured]:  # type: ignore[override]
        found = []
        for one in windows:
            flows = self.flows(one.start, one.end, max_gap_s)
            span = (one.start.timestamp(), one.end.timestamp())
            found.append(Measured(flows.quantity(Quantity.IMPORT, *span), flows.quantity(Quantity.LOAD, *span)))
        return found


def baseline_ms(history: History, start: datetime) -> float:
    """A baseline of four hourly intervals from the ten last eligible days."""
    station = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
    found = reckoning.baseline(event(start), start, station, history, GAP_S)
    assert len(found.days) >= 5, found.note
    assert all(one.import_wh is not None for one in found.intervals)
    return took_ms(lambda: reckoning.baseline(event(start), start, station, history, GAP_S))


def bare_day_ms(path: Path) -> float:
    """The same means straight from the readings, in one query."""
    db = sqlite3.connect(path)
    end_ms = round(END.timestamp() * 1000)
    query = f"SELECT ts / 60000, {', '.join(f'avg({name})' for name in POWERS)} FROM reading WHERE ts >= ? AND ts < ? GROUP BY 1"
    ms = took_ms(lambda: db.execute(query, (end_ms - 86_400_000, end_ms)).fetchall())
    db.close()
    return ms


def bare_years_ms(path: Path) -> float:
    """One sum over the whole hour table."""
    db = sqlite3.connect(path)
    ms = took_ms(lambda: db.execute("SELECT sum(p1_j), sum(p2_j), sum(p3_j), sum(p4_j) FROM hour").fetchall())
    db.close()
    return ms


def measure() -> list[Figure]:
    """All of them."""
    one, five = journals.years(1), journals.years(5)
    station = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
    zone = station.zone
    from_one, from_five = baseline_ms(History(one), EVENT_START), baseline_ms(History(five), EVENT_START)
    ragged = baseline_ms(History(five), EVENT_START + timedelta(minutes=7, seconds=23))
    readings = baseline_ms(FromReadings(five), EVENT_START)
    day = took_ms(lambda: History(one).series(POWERS, Steps(int(END.timestamp()) - 86_400, 60, 1440), GAP_S))
    last = END.astimezone(zone).date()
    first = last - timedelta(days=1826)
    days = took_ms(lambda: History(five).days(first, last, zone, GAP_S))
    where = f"median of {REPEATS}, warm cache, {platform.machine()}, Python {platform.python_version()}"
    files = "20 series each 10 s (one week repeated)"
    return [
        Figure(
            "baseline_query",
            max(from_one, from_five),
            "ms",
            readings,
            25,
            f"baseline of a four-hour event, from 1 year ({from_one:.1f} ms) and 5 years ({from_five:.1f} ms) of readings, {files}; "
            f"starting at 23 s past the minute {ragged:.1f} ms; {where}; reference: the same from the readings instead of the rollups",
        ),
        Figure(
            "baseline_growth", from_five, "ms", from_one, 1.3, f"the same from 5 years; reference: from 1 year; {where}", goal_on="ratio"
        ),
        Figure(
            "day_query",
            day,
            "ms",
            bare_day_ms(one),
            25,
            f"the last 24 h of P1 to P4 to one minute, out of 1 year, {files}; {where}; reference: one bare SQL query over the readings",
        ),
        Figure(
            "years_query",
            days,
            "ms",
            bare_years_ms(five),
            50,
            f"energy of {(last - first).days} local days ({zone.key}) of every position and sum, with the share covered, out of 5 years; "
            f"{where}; reference: four bare SQL sums over the whole hour table",
        ),
    ]
