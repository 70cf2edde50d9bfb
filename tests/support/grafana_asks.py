"""What Grafana would ask: each panel's, mark's and variable's query with its macros and variables filled in."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from grafana.generator.write import FOLDER

WIDE = 1000
"""Points across a panel, about its pixels."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 365 * 86_400}


@dataclass(frozen=True)
class Asked:
    """One query as it reaches the server."""

    where: str
    query: str
    begin: datetime
    end: datetime
    of: dict[str, Any]
    """The panel's target, or the annotation's."""


def seconds(text: str) -> int:
    """Of a length such as `5m`, and of a time such as `now-14d`, how long ago it is."""
    found = re.fullmatch(r"(?:now-)?(\d+)([smhdy])", text)
    assert found, text
    return int(found[1]) * _UNITS[found[2]]


def dashboards() -> list[dict[str, Any]]:
    """All, as their files hold them."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((FOLDER / "dashboards").glob("*.json"))]


def panels(end: datetime) -> Iterator[Asked]:
    """The queries of all panels, at `end`."""
    for board in dashboards():
        for panel in board["panels"]:
            span_s = seconds(panel.get("timeFrom") or board["time"]["from"])
            begin = end - timedelta(seconds=span_s)
            least_s = seconds(panel.get("interval") or "10s")
            every_s = max(least_s, math.ceil(span_s / panel.get("maxDataPoints", WIDE)))
            for target in panel.get("targets", []):
                where = f"{board['uid']} / {panel['title']} / {target['refId']}"
                yield Asked(where, filled(target["query"], begin, end, every_s), begin, end, target)


def marks(end: datetime) -> Iterator[Asked]:
    """The queries of all annotations, over a fortnight."""
    begin = end - timedelta(days=14)
    for board in dashboards():
        for mark in board["annotations"]["list"]:
            target = mark["target"]
            yield Asked(f"{board['uid']} / {mark['name']}", filled(target["query"], begin, end, 60), begin, end, target)


def filled(query: str, begin: datetime, end: datetime, every_s: int) -> str:
    """As Grafana's InfluxQL back end does it."""
    window = f"time >= {round(begin.timestamp() * 1000)}ms and time <= {round(end.timestamp() * 1000)}ms"
    made = query.replace("$timeFilter", window).replace("$__interval_ms", str(every_s * 1000)).replace("$__interval", f"{every_s}s")
    made = made.replace("$station", "demo")
    assert "$" not in made, made
    return made
