"""Which events a backtest holds: from a list, or every so many days at the same local time."""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.backtest.trace import BadTrace, Trace
from services.core.durations import parse_duration
from services.core.events import MAX_DURATION, Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.schedule import next_local

DAYS = {
    "days": range(7),
    "weekdays": range(5),
    "weekends": range(5, 7),
    **{name: (day,) for day, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))},
}
"""What `every` may name, singly or with commas between."""


def parse_goal(text: str) -> Goal:
    """A goal as it is typed: `minimize`, `pledge 150` or `limit 100` (a colon will do). Raises ValueError."""
    word, _, watts = text.strip().replace(":", " ").partition(" ")
    try:
        kind = GoalKind(word.lower())
        return Goal(kind, float(watts) if watts.strip() else None)
    except ValueError as error:
        raise ValueError(f"goal {text!r} is refused ({error}); use minimize, 'pledge 150' or 'limit 100'") from None


def every(days: str, at: str, duration: str, trace: Trace, goal: Goal, zone: ZoneInfo) -> tuple[Event, ...]:
    """An event at each local `at` of `days` that lies whole within the trace. Raises ValueError naming what is wrong."""
    wanted: set[int] = set()
    for name in days.lower().split(","):
        if name not in DAYS:
            raise ValueError(f"days {name!r} is unknown; use {', '.join(DAYS)}, with commas between")
        wanted.update(DAYS[name])
    try:
        clock = time.fromisoformat(at)
    except ValueError:
        raise ValueError(f"time {at!r} is refused; use a local time such as 16:00") from None
    length = _duration(duration)
    events = []
    start = trace.start
    while (start := next_local(start, clock, zone)) + length <= trace.end:
        if start.astimezone(zone).weekday() in wanted:
            events.append(_event(start, length, goal, zone))
    return tuple(events)


def listed(lines: Iterable[str], default: Goal, zone: ZoneInfo) -> tuple[Event, ...]:
    """The events in CSV `lines`: columns start, duration and perhaps goal and id. Raises BadTrace naming the line."""
    rows = csv.DictReader(lines, skipinitialspace=True)
    if missing := {"start", "duration"} - set(rows.fieldnames or ()):
        raise BadTrace(
            1, f"the header lacks {' and '.join(sorted(missing))}", "name the columns start, duration and, if you like, goal and id"
        )
    events: list[Event] = []
    for row in rows:
        try:
            start = datetime.fromisoformat((row["start"] or "").strip())
            goal = parse_goal(row["goal"]) if (row.get("goal") or "").strip() else default
            length = _duration((row["duration"] or "").strip())
        except ValueError as error:
            raise BadTrace(rows.line_num, str(error), "such as 2026-07-01T16:00,PT4H,pledge 150") from None
        event = _event(start if start.tzinfo is not None else start.replace(tzinfo=zone), length, goal, zone, row.get("id"))
        if any(event.overlaps(other) or event.id == other.id for other in events):
            raise BadTrace(rows.line_num, "it overlaps an event above, or has its id", "one event at a time")
        events.append(event)
    return tuple(sorted(events, key=lambda event: event.start))


def within(events: Sequence[Event], trace: Trace) -> tuple[Event, ...]:
    """Those that lie whole within the trace."""
    return tuple(event for event in events if trace.start <= event.start and event.end <= trace.end)


def _duration(text: str) -> timedelta:
    length = parse_duration(text)
    if not isinstance(length, timedelta) or not timedelta(0) < length <= MAX_DURATION:
        raise ValueError(f"duration {text!r} is refused; use more than zero and at most 24 h, such as PT4H or 4")
    return length


def _event(start: datetime, length: timedelta, goal: Goal, zone: ZoneInfo, name: str | None = None) -> Event:
    start = start.astimezone(UTC)
    event_id = (name or "").strip() or f"{start.astimezone(zone):%Y%m%d-%H%M}"
    return Event(event_id, 0, start, start + length, goal, (Method.REPLACEMENT,), 0, EventStatus.SCHEDULED)
