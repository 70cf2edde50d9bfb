"""What the query API answers, reckoned from the journal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from services.bus.messages.events import EventPerformance
from services.core.energy import Quantity
from services.core.positions import Position
from services.recorder.history import SERIES, History, StateAt

MOST_STEPS = 20_000
MOST_STATES = 10_000
MOST_HOURS = timedelta(days=62)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


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


def series(history: History, names: Sequence[str], start: datetime, end: datetime, step_s: int, max_gap_s: float) -> dict[str, Any]:
    """Means over steps that begin at whole multiples of `step_s`. Raises BadQuestion, JournalError."""
    if unknown := [name for name in names if name not in SERIES]:
        raise BadQuestion(f"names: {', '.join(unknown)[:200]!r} is not recorded; choose from {', '.join(SERIES)}")
    start_s = int(start.timestamp() // step_s) * step_s
    count = -int((start_s - end.timestamp()) // step_s)
    if count > MOST_STEPS:
        raise BadQuestion(f"step_s: {count} steps are too many; use at least {count * step_s // MOST_STEPS + 1}")
    means = history.means(names, start_s, step_s, count, max_gap_s)
    return {
        "start": text(start),
        "end": text(end),
        "step_s": step_s,
        "times": [start_s + i * step_s for i in range(count)],
        "series": {name: [None if mean is None else round(mean, 2) for mean in means[name]] for name in names},
    }


def hours(history: History, start: datetime, end: datetime, max_gap_s: float) -> list[dict[str, Any]]:
    """Energy in every UTC hour that the time touches. Raises BadQuestion, JournalError."""
    if end - start > MOST_HOURS:
        raise BadQuestion(f"start: at most {MOST_HOURS.days} days at a time")
    begin = start.replace(minute=0, second=0, microsecond=0)
    count = -((begin - end) // _HOUR)
    found: list[dict[str, Any]] = []
    for day in range(0, count, 24):  # a day at a time, so that a long question needs no more memory than a short one
        first = begin + day * _HOUR
        length = min(24, count - day)
        flows = history.flows(first, first + length * _HOUR, max_gap_s)
        for hour in range(length):
            span = ((first + hour * _HOUR).timestamp(), (first + (hour + 1) * _HOUR).timestamp())
            energies = {"import_wh": flows.quantity(Quantity.IMPORT, *span), "load_wh": flows.quantity(Quantity.LOAD, *span)}
            energies |= {f"{position}_wh": flows.energy(position, *span) for position in Position}
            figures = {name: None if e.energy_wh is None else round(e.energy_wh, 3) for name, e in energies.items()}
            covered = flows.covered((Position.P1, Position.P2, Position.P3), *span)
            found.append({"start": text(first + hour * _HOUR), **figures, "covered": round(covered, 4)})
    return found


def states(history: History, topic: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """What was said under `topic`, oldest first. Raises BadQuestion, JournalError."""
    found = history.states(topic, start, end, MOST_STATES + 1)
    if len(found) > MOST_STATES:
        raise BadQuestion(f"start: there are more than {MOST_STATES} entries; ask for a shorter time")
    return [{"ts": _text_ms(state.ts_ms), "topic": state.topic, "payload": state.payload} for state in found]


def report(history: History, event_id: str, live: EventPerformance | None) -> dict[str, Any] | None:
    """An event with its baseline, performance (`live`, if it is running) and decisions; None if it is not known."""
    if (event := history.last_state(f"event/{event_id}")) is None:
        return None
    performance = live.model_dump(mode="json") if live else history.last_state(f"event/{event_id}/performance")
    start, end = (datetime.fromisoformat(event[name]) for name in ("start", "end"))
    said = [history.state_before("controller/state", start), *history.states("controller/state", start, end, MOST_STATES)]
    return {
        "event": event,
        "baseline": history.last_state(f"event/{event_id}/baseline"),
        "performance": performance,
        "decisions": [_decision(state) for state in said if state is not None],
        "final": bool(performance and performance["final"]),
    }


def text(ts: datetime) -> str:
    """`ts` as it stands in an answer."""
    return ts.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _decision(state: StateAt) -> dict[str, Any]:
    return {"ts": _text_ms(state.ts_ms), "mode": state.payload["mode_commanded"], "reason": state.payload["reason"]}


def _text_ms(ts_ms: int) -> str:
    return text(datetime.fromtimestamp(ts_ms / 1000, UTC))
