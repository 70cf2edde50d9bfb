"""What the query API answers, reckoned from the journal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.bus.messages.base import Telemetry
from services.recorder.accounts import Account
from services.recorder.columns import NAMES
from services.recorder.energy_table import Energies, joined
from services.recorder.following import BadCursor
from services.recorder.history import SERIES, History, StateAt
from services.recorder.rollups import FLOWS, HOUR_S
from services.recorder.series import Steps

MOST_STEPS = 20_000
MOST_STATES = 10_000
MOST_HOURS = timedelta(days=732)
MOST_DAYS = timedelta(days=366 * 20)
_DAY = timedelta(days=1)
_FLOW_NAMES = tuple(str(flow) for flow in FLOWS)
_WH_NAMES = tuple(f"{name}_wh" for name in _FLOW_NAMES)


class BadQuestion(ValueError):
    """A question that cannot be answered as it was put; the message names the field and the remedy."""


def window(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """From and to in UTC; what is left out makes it the last 24 hours. Raises BadQuestion."""
    for ts in (start, end):
        if ts is not None and not 2000 <= ts.year < 2200:
            raise BadQuestion(f"start and end must lie between the years 2000 and 2200, not in {ts.year}")
    last = (end or now).astimezone(UTC)
    first = start.astimezone(UTC) if start else last - _DAY
    if first >= last:
        raise BadQuestion(f"start ({text(first)}) must lie before end ({text(last)})")
    return first, last


def series(
    history: History, names: Sequence[str], start: datetime, end: datetime, step_s: int, max_gap_s: float, *, covered: bool = False
) -> dict[str, Any]:
    """Means over steps that begin at whole multiples of `step_s`, if wanted with the share covered. Raises BadQuestion, JournalError."""
    if unknown := [name for name in names if name not in SERIES]:
        raise BadQuestion(f"names: {', '.join(unknown)[:200]!r} is not recorded; choose from {', '.join(SERIES)}")
    start_s = int(start.timestamp() // step_s) * step_s
    count = -int((start_s - end.timestamp()) // step_s)
    if count > MOST_STEPS:
        raise BadQuestion(f"step_s: {count} steps are too many; use at least {count * step_s // MOST_STEPS + 1}")
    found = history.series(names, Steps(start_s, step_s, count), max_gap_s)
    answer = {
        "start": text(start),
        "end": text(end),
        "step_s": step_s,
        "times": [start_s + i * step_s for i in range(count)],
        "series": {name: [None if mean is None else round(mean, 2) for mean in found[name].means] for name in names},
    }
    if covered:
        answer["covered"] = {name: [round(share, 4) for share in found[name].covered] for name in names}
    return answer


def hours(history: History, start: datetime, end: datetime, max_gap_s: float) -> list[dict[str, Any]]:
    """Energy in every UTC hour that the time touches. Raises BadQuestion, JournalError."""
    if end - start > MOST_HOURS:
        raise BadQuestion(f"start: at most {MOST_HOURS.days} days at a time")
    first, last = int(start.timestamp() // HOUR_S), -int(-end.timestamp() // HOUR_S)
    names = ("import", "load", "p1", "p2", "p3", "p4", "avoided")
    return [
        {"start": _text_s(one.start_s), **{f"{name}_wh": _wh(one, name) for name in names}, "covered": round(one.metered, 4)}
        for one in history.hours(first, last, max_gap_s)
    ]


def energy(history: History, start: datetime, end: datetime, by: str, zone: ZoneInfo, max_gap_s: float) -> list[dict[str, Any]]:
    """Energy per hour (UTC), local day or local month that the time touches, each figure with the share of time it covers.

    Raises BadQuestion, JournalError.
    """
    if by == "hour":
        if end - start > MOST_HOURS:
            raise BadQuestion(f"start: at most {MOST_HOURS.days} days at a time by hour")
        found = history.hours(int(start.timestamp() // HOUR_S), -int(-end.timestamp() // HOUR_S), max_gap_s)
        return [_energies(one, zone) for one in found]
    if end - start > MOST_DAYS:
        raise BadQuestion(f"start: at most {MOST_DAYS.days} days at a time")
    first, last = start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date()
    if by == "month":
        first, last = first.replace(day=1), (last.replace(day=1) + timedelta(days=31)).replace(day=1) - _DAY
    days = history.days(first, last + _DAY, zone, max_gap_s)
    if by == "day":
        return [_energies(one, zone) for one in days.values()]
    months: dict[tuple[int, int], list[Energies]] = {}
    for day, one in days.items():
        months.setdefault((day.year, day.month), []).append(one)
    return [_energies(joined(parts), zone) for parts in months.values()]


def _energies(one: Energies, zone: ZoneInfo) -> dict[str, Any]:
    # Told for thousands of days at once: every step in here counts.
    start, end = datetime.fromtimestamp(one.start_s, zone), datetime.fromtimestamp(one.end_s, UTC)
    flows = [one.flows[name] for name in _FLOW_NAMES]
    covered: dict[str, float] = dict(
        zip(_FLOW_NAMES, [flow.covered if flow.covered in (0, 1) else round(flow.covered, 4) for flow in flows], strict=True)
    )
    covered["metered"] = round(one.metered, 4)
    return {
        "start": text(start.astimezone(UTC)),
        "end": text(end),
        "local": start.isoformat(),
        **dict(zip(_WH_NAMES, [None if flow.energy_wh is None else round(flow.energy_wh, 3) + 0.0 for flow in flows], strict=True)),
        "covered": covered,
    }


def _wh(one: Energies, flow: str) -> float | None:
    wh = one.flows[flow].energy_wh
    return None if wh is None else round(wh, 3) + 0.0


def rows(history: History, after: str | None, limit: int, settled_ms: int, start: datetime | None = None) -> dict[str, Any]:
    """The rows that follow a cursor, or from `start` on, in the columns' units. Raises BadQuestion, JournalError."""
    if start is not None and not 2000 <= start.year < 2200:
        raise BadQuestion(f"start must lie between the years 2000 and 2200, not in {start.year}")
    try:
        page = history.follow(after, limit, settled_ms, start)
    except BadCursor as error:
        raise BadQuestion(str(error)) from None
    return {
        "columns": ["ts_ms", *NAMES],
        "rows": page.rows,
        "cursor": str(page.cursor),
        "more": page.more,
    }


def states(history: History, topic: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """What was said under `topic`, oldest first. Raises BadQuestion, JournalError."""
    found = history.states(topic, start, end, MOST_STATES + 1)
    if len(found) > MOST_STATES:
        raise BadQuestion(f"start: there are more than {MOST_STATES} entries; ask for a shorter time")
    return [{"ts": _text_ms(state.ts_ms), "topic": state.topic, "payload": state.payload} for state in found]


def report(history: History, event_id: str, account: Account | None) -> dict[str, Any] | None:
    """An event with its baseline, performance and decisions; None if it is not known.

    What stands in the `account` is on the bus already, and counts before what the journal holds. Raises JournalError.
    """
    event = _last(account.event if account else None, history, f"event/{event_id}")
    if event is None:
        return None
    performance = _last(account.performance if account else None, history, f"event/{event_id}/performance")
    start, end = (datetime.fromisoformat(event[name]) for name in ("start", "end"))
    said = [history.state_before("controller/state", start), *history.states("controller/state", start, end, MOST_STATES)]
    return {
        "event": event,
        "baseline": _last(account.baseline if account else None, history, f"event/{event_id}/baseline"),
        "performance": performance,
        "decisions": [_decision(state) for state in said if state is not None],
        "final": bool(performance and performance["final"]),
    }


def _last(reckoned: Telemetry | None, history: History, topic: str) -> dict[str, Any] | None:
    return history.last_state(topic) if reckoned is None else reckoned.model_dump(mode="json")


def text(ts: datetime) -> str:
    """`ts` as it stands in an answer."""
    return ts.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _decision(state: StateAt) -> dict[str, Any]:
    return {"ts": _text_ms(state.ts_ms), "mode": state.payload["mode_commanded"], "reason": state.payload["reason"]}


def _text_s(ts_s: float) -> str:
    return text(datetime.fromtimestamp(ts_s, UTC))


def _text_ms(ts_ms: int) -> str:
    return text(datetime.fromtimestamp(ts_ms / 1000, UTC))
