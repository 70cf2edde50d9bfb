"""What the journal keeps besides readings, as points of InfluxDB, in line protocol. Pure.

Time and tags of a point come from what is told alone: told again, it is the same point. What is unknown has no field.

| measurement | tags besides `station` | time | fields |
|---|---|---|---|
| controller | | of the decision | phase, mode_commanded, mode_confirmed, reason, reason_code, goal_w, duty, at_lowest, decided |
| relay | position, or a deferrable load's name | of the change | on, faulty, timer_fired, fault |
| battery_link | | of the change | available, silent, rssi_dbm, last_failure |
| event | event_id | of the change | status, reason, goal, goal_w, start_ms, end_ms |
| event_window | event_id | the event's start | end_ms, text: an event that took place; cut short, its end is when that was said |
| event_interval | event_id | the interval's start | the interval's figures in Wh, goal_wh; the baseline beforehand |
| event_total | event_id | the first interval's start | final figures in Wh, money, met |
| service | service | of the change | online, ok, version, detail |
| fault | source | when told | text |
| vitals | service | when measured | journal_lag_s, memory_mb |
| battery_estimate | | when told | soc_pct, low_pct, high_pct |

What stands is told again as of now, but for its fault and `decided`: those belong to the moment of the change.
Flags are 1 or 0. Times as fields are milliseconds since 1970.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from services.core.events import RESERVED_IDS

Payload = Mapping[str, Any]
StateRow = tuple[str, int, str]
"""Topic below the station's root, time in ms, and the message as JSON: a row of the journal's table `state`."""

AT_LOWEST = frozenset({"lowest_reached", "reserve_reached"})
"""The controller's reason codes when the battery has come down to the reserve, or to its floor."""
STANDING = ("state", "status", "link")
"""The last parts of the topics under which something stands until the next message."""
TOOK_PLACE = ("ongoing", "completed")
CUT_SHORT = ("cancelled", "opted_out")
"""Said after the event's start: it took place until then."""
_INTERVAL = (
    "baseline_wh", "import_wh", "avoided_wh", "pv_wh", "reduction_wh", "covered", "load_estimate_wh", "load_low_wh", "load_high_wh",
)  # fmt: skip
_FORESEEN = (
    ("baseline_wh", "import_wh"), ("load_estimate_wh", "load_wh"), ("load_low_wh", "load_low_wh"), ("load_high_wh", "load_high_wh"),
)  # fmt: skip
"""Fields of an interval, and what the baseline's message calls them."""
_TOTAL = (
    "avoided_wh", "reduction_wh", "covered", "estimate_reduction_wh", "estimate_low_wh", "estimate_high_wh", "pv_wh", "given_wh",
    "pledge_w", "performance_factor", "payment", "revision",
)  # fmt: skip


def lines(rows: Iterable[StateRow], station: str) -> Iterator[str]:
    """The points of `rows`; a topic that is not fed has none. Precision: milliseconds."""
    for topic, ts_ms, text in rows:
        yield from _points(topic.split("/"), ts_ms, json.loads(text), station)


def standing(rows: Iterable[StateRow], station: str, at_ms: int) -> Iterator[str]:
    """What stood at `at_ms`, of the last row under each topic: so that a state that never changes is seen in any span of time."""
    for topic, ts_ms, text in rows:
        parts = topic.split("/")
        if ts_ms <= at_ms and parts[-1] in STANDING:
            found = _points(parts, at_ms, json.loads(text), station, again=True)
            yield from (one for one in found if not one.startswith("fault,"))


def vitals(station: str, service: str, ts_ms: int, *, journal_lag_s: float | None = None, memory_mb: float | None = None) -> str | None:
    """How a service fares; None if nothing is known."""
    return line("vitals", {"station": station, "service": service}, {"journal_lag_s": journal_lag_s, "memory_mb": memory_mb}, ts_ms)


def estimate(station: str, ts_ms: int, soc_pct: float, low_pct: float, high_pct: float) -> str | None:
    """The controller's view of the state of charge, with its band."""
    return line("battery_estimate", {"station": station}, {"soc_pct": soc_pct, "low_pct": low_pct, "high_pct": high_pct}, ts_ms)


def _points(topic: list[str], ts_ms: int, said: Payload, station: str, *, again: bool = False) -> Iterator[str]:
    match topic:
        case ["controller", "state"]:
            found = _controller(said, {"station": station}, ts_ms, decided=not again)
        case ["relay" | "load" as kind, position, "state"]:  # no load is called as a position is
            found = _relay(said, {"station": station, "position": position}, f"{kind} {position}", ts_ms)
        case ["battery", "link"]:
            fields = {name: said.get(name) for name in ("available", "silent", "rssi_dbm", "last_failure")}
            found = iter([line("battery_link", {"station": station}, fields, ts_ms)])
        case ["event", event_id] if event_id not in RESERVED_IDS:
            found = _event(said, {"station": station, "event_id": event_id}, ts_ms)
        case ["event", event_id, "baseline"]:
            found = _baseline(said, {"station": station, "event_id": event_id})
        case ["event", event_id, "performance"]:
            found = _performance(said, {"station": station, "event_id": event_id})
        case ["service", service, "status"]:
            found = _service(said, {"station": station}, service, ts_ms)
        case ["service", service, "error"]:
            text = ". ".join(part for part in (said.get("message"), said.get("remedy")) if part)
            found = iter([_fault(station, service, text, ts_ms)])
        case _:
            return
    yield from (one for one in found if one is not None)


def _controller(said: Payload, tags: Mapping[str, str], ts_ms: int, *, decided: bool) -> Iterator[str | None]:
    names = ("phase", "mode_commanded", "mode_confirmed", "reason", "reason_code", "goal_w", "duty")
    flags = {"at_lowest": said.get("reason_code") in AT_LOWEST, "decided": True if decided else None}
    yield line("controller", tags, {name: said.get(name) for name in names} | flags, ts_ms)


def _relay(said: Payload, tags: Mapping[str, str], source: str, ts_ms: int) -> Iterator[str | None]:
    fault = said.get("fault")
    fields = {"on": said.get("on"), "faulty": fault is not None, "timer_fired": said.get("timer_fired", False), "fault": fault}
    yield line("relay", tags, fields, ts_ms)
    yield _fault(tags["station"], source, fault, ts_ms)


def _service(said: Payload, tags: Mapping[str, str], service: str, ts_ms: int) -> Iterator[str | None]:
    online, ok = said.get("state") == "online", said.get("health", "ok") == "ok"
    fields = {"online": online, "ok": online and ok, "version": said.get("version"), "detail": said.get("detail")}
    yield line("service", {**tags, "service": service}, fields, ts_ms)
    if not online:
        yield _fault(tags["station"], service, "offline", ts_ms)
    elif not ok:
        yield _fault(tags["station"], service, said.get("detail") or "degraded", ts_ms)


def _event(said: Payload, tags: Mapping[str, str], ts_ms: int) -> Iterator[str | None]:
    goal = said.get("goal") or {}
    kind, watts = goal.get("kind", ""), goal.get("reduction_w", goal.get("import_w"))
    start_ms, end_ms = _ms(said["start"]), _ms(said["end"])
    fields = {"status": said["status"], "reason": said.get("status_reason"), "goal": kind, "goal_w": watts}
    yield line("event", tags, {**fields, "start_ms": start_ms, "end_ms": end_ms}, ts_ms)
    if said["status"] in TOOK_PLACE or (said["status"] in CUT_SHORT and ts_ms > start_ms):
        end_ms = min(end_ms, ts_ms) if said["status"] in CUT_SHORT else end_ms
        asked = kind if watts is None else f"{kind} {watts:g} W"
        yield line("event_window", tags, {"end_ms": end_ms, "text": f"event {tags['event_id']}: {asked}"}, start_ms)


def _baseline(said: Payload, tags: Mapping[str, str]) -> Iterator[str | None]:
    """What is known of the intervals before they are over; their performance completes the same points."""
    for one in said["intervals"]:
        fields = {name: one.get(told) for name, told in _FORESEEN}
        yield line("event_interval", tags, fields, _ms(one["start"]))


def _performance(said: Payload, tags: Mapping[str, str]) -> Iterator[str | None]:
    pledge_w, wh = said.get("pledge_w"), said.get("reduction_wh")
    intervals = [(one, _ms(one["start"]), _ms(one["end"])) for one in said["intervals"]]
    for one, start_ms, end_ms in intervals:
        goal_wh = None if pledge_w is None else pledge_w * (end_ms - start_ms) / 3_600_000
        yield line("event_interval", tags, {**{name: one.get(name) for name in _INTERVAL}, "goal_wh": goal_wh}, start_ms)
    if said.get("final") and intervals:
        hours = (intervals[-1][2] - intervals[0][1]) / 3_600_000
        # Rounded figures must not make a kept promise a broken one.
        met = None if not pledge_w or wh is None else wh >= pledge_w * hours - 0.05
        fields = {name: said.get(name) for name in _TOTAL} | {"met": met, "currency": said.get("currency")}
        yield line("event_total", tags, fields, intervals[0][1])


def _fault(station: str, source: str, text: str | None, ts_ms: int) -> str | None:
    return line("fault", {"station": station, "source": source}, {"text": text and f"{source}: {text}"}, ts_ms)


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, object], ts_ms: int) -> str | None:
    """A point in line protocol; None without any field that is known."""
    said = [f"{name}={_value(value)}" for name, value in fields.items() if value not in (None, "")]
    return f"{measurement},{','.join(f'{name}={_tag(tags[name])}' for name in sorted(tags))} {','.join(said)} {ts_ms}" if said else None


def _value(value: object) -> str:
    # All numbers are floats: a field has one type for ever.
    if isinstance(value, (bool, int, float)):
        return str(float(value))
    text = " ".join(str(value).split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _tag(text: str) -> str:
    return " ".join(text.split()).replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
