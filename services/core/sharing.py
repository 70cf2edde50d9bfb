"""What may leave the house: the one function that decides, for every kind of record and over all that a person ever chose. Pure.

It allows by name and by shape. What it does not know, it leaves out: a new column of the journal, a new field of a report, a mapping
where a number belongs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from math import hypot, inf
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from services.core.consent import Grants
from services.core.events import EventStatus
from services.core.goals import GoalKind, Method
from services.core.sharing_fields import FIELDS, RecordKind
from services.core.sharing_values import (
    LIMIT,
    as_event_id,
    as_list,
    as_mapping,
    as_number,
    as_share,
    as_status,
    as_text,
    as_time,
    as_whole,
    as_word,
    put,
)

FULL_COLUMNS = tuple(one.name.removeprefix("full.") for one in FIELDS if one.kind is RecordKind.FULL)
HOUR_FIGURES = ("p1_wh", "p2_wh", "p3_wh", "p4_wh", "soc_pct", "covered")


class AnswerReason(StrEnum):
    """Why an event stands where it stands. Codes, never sentences: a sentence could carry more than a person shares."""

    NONE = ""
    OPTED_OUT = "opted_out"
    """A person opted out or declined."""
    NO_ANSWER = "no_answer"
    """The event asked, and nobody answered in time."""
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    """One of higher priority took its time."""
    MISSED = "missed"
    """It passed while the station was not running."""
    NOT_POSSIBLE = "not_possible"
    """The station does not take it: its preferences, another event, or its own state."""
    BAD_MESSAGE = "bad_message"
    """The message itself is wrong; `field` says where."""
    BAD_SIGNATURE = "bad_signature"
    """Not signed, signed by an unknown key, or not by that key."""
    REPLAYED = "replayed"
    """A signed message that was seen before, or is too old to tell."""
    WRONG_NETWORK = "wrong_network"
    TOO_MANY = "too_many"
    """More messages than a station takes at once; send again later, and less often."""


def shared(kind: RecordKind, record: Mapping[str, Any], grants: Grants) -> dict[str, Any] | None:
    """What of `record` may leave; None for nothing. `record` is as the recorder or the bus has it, and is not trusted."""
    return _MAKERS[kind](record, grants)


def shared_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], grants: Grants) -> list[dict[str, Any]]:
    """`shared` for rows of the journal, `ts_ms` among their columns: the same result, quicker."""
    if "ts_ms" not in columns:
        return []
    ts_at = columns.index("ts_ms")
    picks = [(index, name) for index, name in enumerate(columns) if f"full.{name}" in grants.since and name in _FULL_SET]
    latest = max((grants.since[f"full.{name}"] for _, name in picks), default=None)
    if latest is None:
        return []
    every_ms = _ms(latest)
    names = tuple(name for _, name in picks)
    head = ("ts", *names)
    pick = itemgetter(*(index for index, _ in picks)) if len(picks) > 1 else lambda row: (row[picks[0][0]],)
    found = []
    for row in rows:
        ts_ms = row[ts_at] if len(row) == len(columns) else None
        if type(ts_ms) is not int:
            continue
        if every_ms <= ts_ms < _LATEST_MS:
            values = pick(row)
            # Nearly every row is all numbers, which is seen at once; any other is looked at one by one.
            if _PLAIN.issuperset(map(type, values)) and _length(values) < LIMIT:
                found.append(dict(zip(head, (_text_ms(ts_ms), *values), strict=True)))
                continue
            figures = {name: figure for name, value in zip(names, values, strict=True) if (figure := as_number(value)) is not None}
            if figures:
                found.append({"ts": _text_ms(ts_ms), **figures})
        elif (record := shared(RecordKind.FULL, dict(zip(columns, row, strict=True)), grants)) is not None:
            found.append(record)
    return found


def answered(record: Mapping[str, Any], grants: Grants) -> dict[str, Any] | None:
    """The answer to an event: whether the station takes part and, where progress is shared, how far it is."""
    status, event_id, at = as_status(record.get("status")), as_event_id(record.get("id")), as_time(record.get("ts"))
    if status is None or event_id is None or at is None or not grants.allows("answers.choice", at):
        return None
    if not grants.allows("event.progress", at):
        if status is EventStatus.COMPLETED:
            return None
        if status in (EventStatus.UPCOMING, EventStatus.ONGOING):
            status = EventStatus.SCHEDULED
    answer: dict[str, Any] = {
        "v": 1,
        "id": event_id,
        "revision": as_whole(record.get("revision")) or 0,
        "status": status.value,
        "ts": as_text(at),
    }
    reason = record.get("reason")
    if isinstance(reason, str) and reason in _REASONS:
        answer["reason"] = str(reason)
    if reason == AnswerReason.BAD_MESSAGE and isinstance(about := record.get("field"), str) and about in _EVENT_FIELDS:
        answer["field"] = about
    return answer


def _event(report: Mapping[str, Any], grants: Grants) -> dict[str, Any] | None:
    event = as_mapping(report.get("event"))
    event_id, start, end = as_event_id(event.get("id")), as_time(event.get("start")), as_time(event.get("end"))
    if event_id is None or start is None or end is None:
        return None

    def may(name: str) -> bool:
        return grants.allows(f"event.{name}", start)

    baseline, performance = as_mapping(report.get("baseline")), as_mapping(report.get("performance"))
    found: dict[str, Any] = {}
    if may("progress") and (status := as_status(event.get("status"))) is not None:
        found["status"] = status.value
    if may("terms"):
        found |= _terms(event)
    if may("baseline"):
        put(found, "baseline_method", as_word(baseline.get("method")))
        put(found, "baseline_wh", _sum(performance, "baseline_wh"))
    if may("reduction"):
        put(found, "reduction_wh", as_number(performance.get("reduction_wh")))
        put(found, "avoided_wh", as_number(performance.get("avoided_wh")))
    if may("performance"):
        for name in ("pledge_w", "performance_factor"):
            put(found, name, as_number(performance.get(name)))
        put(found, "covered", as_share(performance.get("covered")))
    intervals = [_interval(as_mapping(one), may) for one in as_list(performance.get("intervals"))]
    if any(intervals):
        found["intervals"] = [one for one in intervals if one is not None]
    if not found:
        return None
    revision = as_whole(performance.get("revision")) or 0
    final = performance.get("final") is True
    head = {"id": event_id, "revision": as_whole(event.get("revision")) or 0, "start": as_text(start), "end": as_text(end)}
    # Whether the figures are final says that the event is over: it goes with figures only.
    figures = any(map(may, ("baseline", "reduction", "performance")))
    return head | found | ({"final": final, "figures_revision": revision} if figures else {})


def _terms(event: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    goal = as_mapping(event.get("goal"))
    if (kind := as_word(goal.get("kind"))) in set(GoalKind):
        figure = {"pledge": "reduction_w", "limit": "import_w"}.get(str(kind))
        watts = None if figure is None else as_number(goal.get(figure))
        if figure is None or watts is not None:
            found["goal"] = {"kind": str(kind)} | ({} if figure is None else {figure: watts})
    if methods := [one for one in map(as_word, as_list(event.get("methods"))) if one in set(Method)]:
        found["methods"] = methods
    if isinstance(event.get("test"), bool):
        found["test"] = event["test"]
    return found


def _interval(one: Mapping[str, Any], may: Callable[[str], bool]) -> dict[str, Any] | None:
    start, end = as_time(one.get("start")), as_time(one.get("end"))
    if start is None or end is None:
        return None
    found: dict[str, Any] = {}
    if may("baseline"):
        put(found, "baseline_wh", as_number(one.get("baseline_wh")))
    if may("reduction"):
        put(found, "reduction_wh", as_number(one.get("reduction_wh")))
        put(found, "avoided_wh", as_number(one.get("avoided_wh")))
    if may("performance"):
        put(found, "covered", as_share(one.get("covered")))
    return {"start": as_text(start), "end": as_text(end)} | found if found else None


def _hour(record: Mapping[str, Any], grants: Grants) -> dict[str, Any] | None:
    start = as_time(record.get("start"))
    if start is None:
        return None
    found: dict[str, Any] = {}
    for name in HOUR_FIGURES:
        if grants.allows(f"hourly.{name}", start):
            put(found, name, as_share(record.get(name)) if name == "covered" else as_number(record.get(name)))
    # An hour of which only is known that nothing is known says nothing.
    return {"start": as_text(start)} | found if set(found) - {"covered"} else None


def _full(record: Mapping[str, Any], grants: Grants) -> dict[str, Any] | None:
    ts_ms = record.get("ts_ms")
    if type(ts_ms) is not int or not 0 <= ts_ms < _LATEST_MS:
        return None
    at = datetime.fromtimestamp(ts_ms / 1000, UTC)
    found: dict[str, Any] = {}
    for name in FULL_COLUMNS:
        if grants.allows(f"full.{name}", at):
            put(found, name, as_number(record.get(name)))
    return {"ts": _text_ms(ts_ms)} | found if found else None


def _registration(record: Mapping[str, Any], grants: Grants) -> dict[str, Any] | None:
    """What the station is able to do: about now, so a grant at any time will do."""
    found: dict[str, Any] = {}
    for name in ("capacity_wh", "power_w", "pledge_w"):
        if f"event.{name}" in grants.since:
            put(found, name, as_number(record.get(name)))
    if "event.programme" in grants.since:
        put(found, "programme", as_word(record.get("programme")))
    return found or None


def _online(record: Mapping[str, Any], grants: Grants) -> dict[str, Any] | None:
    at = as_time(record.get("ts"))
    if at is None or "event.online" not in grants.since or not isinstance(record.get("online"), bool):
        return None
    return {"v": 1, "online": record["online"], "ts": as_text(at)}


_MAKERS: Mapping[RecordKind, Callable[[Mapping[str, Any], Grants], dict[str, Any] | None]] = MappingProxyType(
    {
        RecordKind.ANSWERS: answered,
        RecordKind.EVENT: _event,
        RecordKind.HOURLY: _hour,
        RecordKind.FULL: _full,
        RecordKind.REGISTRATION: _registration,
        RecordKind.ONLINE: _online,
    }
)
_REASONS = frozenset(reason.value for reason in AnswerReason if reason)
_EVENT_FIELDS = frozenset(
    {
        *("v", "action", "id", "revision", "start", "duration", "goal", "methods", "priority", "test", "notice", "programme"),
        *("network", "station", "ts", "nonce", "payload", "event", "type", "start_time", "timestamp"),
    }
)
"""The fields of what aggregators send: to name one tells them nothing that they did not send."""
_PLAIN = frozenset({int, float})
_FULL_SET = frozenset(FULL_COLUMNS)
_LATEST_MS = 7_258_118_400_000  # the year 2200


def _ms(moment: datetime) -> float:
    return 0 if moment.year < 1971 else moment.timestamp() * 1000


def _text_ms(ts_ms: int) -> str:
    minute, ms = divmod(ts_ms, 60_000)
    return f"{_minute_text(minute)}:{ms // 1000:02}.{ms % 1000:03}Z"


@lru_cache(maxsize=16)
def _minute_text(minute: int) -> str:
    # Rows that follow one another mostly share it.
    return datetime.fromtimestamp(minute * 60, UTC).isoformat(timespec="minutes")[:-6]


def _length(values: Sequence[float]) -> float:
    """Not less than the size of any of them; less than nothing where one is no number."""
    try:
        return hypot(*values)
    except OverflowError:
        return inf


def _sum(performance: Mapping[str, Any], name: str) -> float | None:
    """The figure over all intervals; unknown if it is unknown in one."""
    figures = [as_number(as_mapping(one).get(name)) for one in as_list(performance.get("intervals"))]
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known and len(known) == len(figures) else None
