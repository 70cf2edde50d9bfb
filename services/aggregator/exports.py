"""Settlements as a file: each station's final figures of each event, as it sent them."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from services.aggregator.store.fleet import Settlement

COLUMNS = (
    "event", "station", "start", "end", "status", "test", "goal", "goal_w", "pledge_w", "baseline_method", "baseline_wh", "reduction_wh",
    "avoided_wh", "performance_factor", "covered", "figures_revision", "received_at",
)  # fmt: skip


def csv_lines(settlements: Iterable[Settlement]) -> Iterator[str]:
    """CSV with a heading; an empty cell is unknown or not shared."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in settlements:
        row = _row(one)
        writer.writerow(["" if row[name] is None else _plain(row[name]) for name in COLUMNS])
        yield _drained(buffer)
    yield _drained(buffer)


def json_lines(settlements: Iterable[Settlement]) -> Iterator[str]:
    """One JSON list, with every interval."""
    yield "["
    for number, one in enumerate(settlements):
        body = {"event": one.event_id, "station": one.station, "received_at": one.received_at.isoformat(), **one.body}
        yield ("," if number else "") + "\n" + json.dumps(body)
    yield "\n]\n"


def _row(one: Settlement) -> dict[str, Any]:
    body, goal = one.body, one.body.get("goal") or {}
    figures = {name: body.get(name) for name in COLUMNS}
    goal_w = goal.get("reduction_w") if goal.get("reduction_w") is not None else goal.get("import_w")
    return figures | {
        "event": one.event_id,
        "station": one.station,
        "goal": goal.get("kind"),
        "goal_w": goal_w,
        "received_at": one.received_at.isoformat(),
    }


def _plain(value: Any) -> Any:
    # A spreadsheet takes a text that begins so for a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def _drained(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
