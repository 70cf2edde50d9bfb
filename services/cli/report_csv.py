"""Reports for spreadsheets: one line an interval, or one a month. An empty cell is unknown."""

import csv
from dataclasses import asdict
from io import StringIO
from typing import Any

from services.core.money import Period

EVENT_COLUMNS = (
    "event_id", "start", "end", "baseline_wh", "import_wh", "avoided_wh", "pv_wh", "reduction_wh",
    "load_estimate_wh", "load_low_wh", "load_high_wh", "covered",
)  # fmt: skip


def event_csv(found: dict[str, Any]) -> str:
    """The settlement intervals of an event; only the heading while there are none."""
    intervals = found["performance"]["intervals"] if found["performance"] else []
    return _csv(EVENT_COLUMNS, [{"event_id": found["event"]["id"], **one} for one in intervals])


def season_csv(months: list[Period], currency: str) -> str:
    """The months of a season."""
    rows = [{**asdict(month), "month": f"{month.first:%Y-%m}", "currency": currency} for month in months]
    return _csv(("month", *(name for name in rows[0] if name not in ("first", "month"))) if rows else ("month",), rows)


def _csv(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    written = StringIO()
    writer = csv.DictWriter(written, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().rstrip("\n")
