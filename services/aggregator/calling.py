"""From what is typed to an event that can be called. Pure: time and ids are passed in."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from services.aggregator.store.events import Called
from services.core.config.policy import Duration, GoalSection
from services.core.events import MAX_DURATION, MAX_NOTICE, START_GRACE, BadValue, check_id, parse_start
from services.core.goals import GoalKind, Method
from services.core.problems import field_problems

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person asks for; an empty text is left out."""

    start: str
    duration: str
    goal: str = ""
    """`pledge`, `limit`, `minimize`, or empty for each station's own."""
    watts: str = ""
    methods: Sequence[str] = ()
    priority: int = 0
    test: bool = False
    notice: str = ""
    programme: str = ""
    stations: Sequence[str] = ()
    """Empty for all of the network."""


def called(typed: Typed, event_id: str, now: datetime, zone: ZoneInfo, known: Collection[str]) -> Called:
    """The event that `typed` means. Raises BadValue."""
    check_id(event_id)
    start = parse_start(typed.start, now, zone)
    if start < now - START_GRACE:
        raise BadValue("start", typed.start[:80], f'it is past (now is {now:%Y-%m-%dT%H:%M:%SZ}); use "now" to begin at once')
    if start > now + MAX_NOTICE:
        raise BadValue("start", typed.start[:80], "it is more than a year ahead")
    duration = _duration(typed.duration)
    if strange := sorted(set(typed.stations) - set(known)):
        raise BadValue("stations", ", ".join(strange)[:80], "no such station is enrolled; see `sps aggregator fleet`")
    one = Called(
        id=event_id,
        revision=0,
        start=start,
        end=start + duration,
        ts=now,
        goal=_goal(typed.goal, typed.watts),
        methods=_methods(typed.methods),
        priority=typed.priority,
        test=typed.test,
        notice=typed.notice.strip(),
        programme=typed.programme.strip() or None,
        stations=tuple(sorted(set(typed.stations))),
    )
    _sendable(one)
    return one


def amended(before: Called, typed: Typed, now: datetime, zone: ZoneInfo) -> Called:
    """`before` with what `typed` says otherwise; its empty fields change nothing. Raises BadValue."""
    if typed.start:
        start = parse_start(typed.start, now, zone)
        if start < now - START_GRACE and start != before.start:
            raise BadValue("start", typed.start[:80], "it is past")
    else:
        start = before.start
    duration = _duration(typed.duration) if typed.duration else before.end - before.start
    one = replace(
        before,
        start=start,
        end=start + duration,
        ts=now,
        goal=_goal(typed.goal, typed.watts) if typed.goal else before.goal,
        notice=typed.notice.strip() or before.notice,
    )
    if one.end <= now:
        raise BadValue("duration", typed.duration or str(duration), "the event would be over already; cancel it instead")
    _sendable(one)
    return one


def cancelled(before: Called, now: datetime) -> Called:
    """The end of `before`."""
    return replace(before, cancelled=True, ts=now)


def new_id(now: datetime, salt: str) -> str:
    """An id that a person can read: when it was called, and something that makes it one of a kind."""
    return f"dr-{now:%Y%m%d-%H%M}-{salt}"


def _duration(text: str) -> timedelta:
    try:
        duration = _DURATION.validate_python(float(text) if text.strip().replace(".", "", 1).isdecimal() else text.strip())
    except ValidationError as error:
        raise BadValue("duration", text[:80], field_problems(error)[0].remedy) from None
    if not timedelta(0) < duration <= MAX_DURATION:
        raise BadValue("duration", text[:80], 'use more than zero and at most 24 h, such as "PT4H" or 4')
    return duration


def _goal(kind: str, watts: str) -> GoalSection | None:
    if not kind:
        if watts:
            raise BadValue("watts", watts[:80], "say which goal they belong to: pledge or limit")
        return None
    try:
        chosen = GoalKind(kind)
    except ValueError:
        raise BadValue("goal", kind[:80], f"use {', '.join(GoalKind)}, or leave it out") from None
    try:
        power_w = float(watts) if watts.strip() else None
    except ValueError:
        raise BadValue("watts", watts[:80], "use a number of watts such as 150") from None
    try:
        return GoalSection(
            kind=chosen,
            reduction_w=power_w if chosen is not GoalKind.LIMIT else None,
            import_w=power_w if chosen is GoalKind.LIMIT else None,
        )
    except ValidationError as error:
        raise BadValue("goal", f"{kind} {watts}".strip()[:80], field_problems(error)[0].remedy) from None


def _methods(names: Sequence[str]) -> tuple[Method, ...]:
    try:
        return tuple(Method(name) for name in names)
    except ValueError:
        raise BadValue("methods", ", ".join(names)[:80], f"use {', '.join(Method)}") from None


def _sendable(one: Called) -> None:
    """Raise BadValue for what no station would take."""
    try:
        one.message("check", None, one.ts, "only-to-check")
    except ValidationError as error:
        problem = field_problems(error)[0]
        raise BadValue(problem.field or "event", problem.value, problem.remedy) from None
