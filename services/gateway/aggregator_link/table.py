"""The profile `table`: a live and an analysis record, by PATCH, with the field names of the paired network's tables.

Only what `services.core.sharing` has let through goes in. The tables hold text; what is unknown or not shared is left out, and PATCH
leaves it as it stands there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

_TIME = "%Y-%m-%d %H:%M:%S"
LAST_EVENTS = 10


@dataclass(frozen=True, slots=True)
class Participant:
    """Whose records they are."""

    name: str
    network: str
    zone: ZoneInfo
    floor_pct: float


def live(who: Participant, row: Mapping[str, Any] | None, able: Mapping[str, Any] | None, now: datetime) -> dict[str, str] | None:
    """The live record from the latest shared row; None if nothing of it is shared."""
    if row is None:
        return None
    found: dict[str, str] = {}
    _put(found, "pv w", row.get("p4_w"))
    _put(found, "battery", soc := row.get("soc_pct"))
    capacity = (able or {}).get("capacity_wh")
    if soc is not None and capacity is not None:
        _put(found, "flex wh", round(capacity * max(soc - who.floor_pct, 0) / 100, 1))
    return _named(who, found, now)


def analysis(
    who: Participant,
    events: Sequence[Mapping[str, Any]],
    hours: Sequence[Mapping[str, Any]],
    able: Mapping[str, Any] | None,
    now: datetime,
) -> dict[str, str] | None:
    """The analysis record from the shared figures of the last events, the latest last, and of the last days' hours."""
    found: dict[str, str] = {}
    if events:
        last = events[-1]
        _put(found, "event baseline WhAC", last.get("baseline_wh"))
        _put(found, "event start time", _local(datetime.fromisoformat(str(last["start"])), who.zone))
        figures = [one["reduction_wh"] for one in events[-LAST_EVENTS:] if one.get("reduction_wh") is not None]
        _put(found, "avg event performance Wh", round(sum(figures) / len(figures), 1) if figures else None)
    _put(found, "avg PV WhDC", _a_day(hours, "p4_wh"))
    _put(found, "avg daily grid demand WhAC", _a_day(hours, "p1_wh", "p2_wh"))
    _put(found, "avg daily load demand WhAC", _a_day(hours, "p1_wh", "p3_wh"))
    capacity = (able or {}).get("capacity_wh")
    if capacity is not None:
        _put(found, "max flex WhAC", round(capacity * (100 - who.floor_pct) / 100, 1))
    return _named(who, found, now)


def query(table: str, name: str) -> str:
    """Where the participant's record of a table is looked for."""
    formula = quote(f'name="{name}"', safe="")
    return f"/{table}?maxRecords=3&filterByFormula={formula}"


def record_id(answer: Any) -> str | None:
    """The id of the first record in a table's answer."""
    try:
        found = answer["records"][0]["id"]
    except (KeyError, TypeError, IndexError):
        return None
    return found if isinstance(found, str) and 0 < len(found) <= 64 and found.isalnum() else None


def _a_day(hours: Sequence[Mapping[str, Any]], *names: str) -> float | None:
    """The mean energy of a day, from the hours for which all of `names` are known."""
    known = [sum(one[name] for name in names) for one in hours if all(one.get(name) is not None for name in names)]
    return round(sum(known) / len(known) * 24, 1) if known else None


def _named(who: Participant, found: dict[str, str], now: datetime) -> dict[str, str] | None:
    return {"name": who.name, "datetime": _local(now, who.zone), **found, "network": who.network} if found else None


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime(_TIME)


def _put(found: dict[str, str], name: str, value: object) -> None:
    if value is not None:
        found[name] = str(value)
