"""What a backtest leaves behind: one JSON file with everything, and a CSV file with a line for each event and policy."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.backtest.contest import Held
from services.backtest.score import Summary

JSON_NAME, CSV_NAME = "results.json", "events.csv"


def document(summaries: Sequence[Summary], held: Mapping[str, Sequence[Held]], conditions: Mapping[str, Any]) -> dict[str, Any]:
    """The whole, ready for JSON."""
    return {
        "conditions": dict(conditions),
        "summary": [asdict(one) for one in summaries],
        "events": [_event(policy, one) for policy, events in held.items() for one in events],
    }


def _event(policy: str, held: Held) -> dict[str, Any]:
    event, score = held.event, held.score
    return {
        "policy": policy,
        "id": event.id,
        "start": _text(event.start),
        "end": _text(event.end),
        "goal": {"kind": str(event.goal.kind), "power_w": event.goal.power_w},
        "operations": score.operations,
        "least_wh": score.least_wh,
        "total_wh": score.total_wh,
        "tracking": score.tracking,
        "best_least_wh": score.best_least_wh,
        "best_total_wh": score.best_total_wh,
        "dwell_least_wh": score.dwell_least_wh,
        "start_soc_pct": score.start_soc_pct,
        "end_soc_pct": score.end_soc_pct,
        "intervals": [asdict(interval) for interval in score.intervals],
        "decisions": [{**told._asdict(), "at": _text(told.at)} for told in held.decisions],
        "violations": [{**violation._asdict(), "at": _text(violation.at)} for violation in held.violations],
    }


def write(folder: Path, made: Mapping[str, Any]) -> None:
    """Both files into `folder`, which is made. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_NAME).write_text(json.dumps(made, indent=1, allow_nan=False, default=str) + "\n", encoding="utf-8")
    columns = [name for name in made["events"][0] if not isinstance(made["events"][0][name], (list, dict))] if made["events"] else []
    with (folder / CSV_NAME).open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, columns, extrasaction="ignore")
        rows.writeheader()
        rows.writerows(made["events"])


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
