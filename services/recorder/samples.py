"""Power samples from the journal, over a time and as far beyond it as they reach into it."""

import sqlite3
from array import array

from services.core.energy import Flows, PowerSeries
from services.core.positions import Position

SEEN_AS_ONE_S = 150.0
"""For the eye, a picture's line goes on over so much; also how far beyond a window its neighbours are looked for at least."""
GAP_SPACINGS = 2.5
"""Rows that always came further apart than today's polls (imported, or simulated as a past) are no gaps."""
FURTHEST_S = 3600.0
"""Rows further apart than this are never joined, however usual that is."""

_QUERY = f"SELECT ts, {', '.join(f'{position}_w' for position in Position)} FROM reading WHERE ts BETWEEN ? AND ? ORDER BY ts"  # noqa: S608


def flows(db: sqlite3.Connection, start_ms: int, end_ms: int, max_gap_s: float) -> Flows:
    """The power at every position. Known between two readings at most `max_gap_s` apart, or GAP_SPACINGS times what is usual."""
    margin_s = max(max_gap_s, SEEN_AS_ONE_S)
    series = _load(db, start_ms, end_ms, margin_s)
    gap_s = max(max_gap_s, GAP_SPACINGS * _usual_s(series))
    if margin_s < gap_s <= FURTHEST_S:
        series = _load(db, start_ms, end_ms, gap_s)
    return Flows(series, min(gap_s, max(FURTHEST_S, max_gap_s)))


def _load(db: sqlite3.Connection, start_ms: int, end_ms: int, margin_s: float) -> dict[Position, PowerSeries]:
    margin_ms = round(margin_s * 1000)
    rows = db.execute(_QUERY, (start_ms - margin_ms, end_ms + margin_ms)).fetchall()
    found = {}
    for i, position in enumerate(Position, start=1):
        known = [(row[0], row[i]) for row in rows if row[i] is not None]
        found[position] = PowerSeries(array("d", [ts / 1000 for ts, _ in known]), array("d", [power / 10 for _, power in known]))
    return found


def _usual_s(series: dict[Position, PowerSeries]) -> float:
    return max((spacing for one in series.values() if (spacing := one.spacing_s()) is not None), default=0.0)
