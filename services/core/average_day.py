"""A programme's customer baseline load: the mean of chosen past days, adjusted by the day itself. One engine, rules as data.

Days are walked back as local dates, so that an hour stays the same hour over a daylight-saving change. A missing hour is unknown, not
zero: a day with an unknown event hour is not eligible.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.core.baseline import MIN_COVERED, Baseline, Interval, Measure, Measured, Refused, intervals_of
from services.core.days import Days
from services.core.energy import Energy
from services.core.programme import Adjustment, BaselineRule, DayRule

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Question:
    """An event, and what is known around it."""

    intervals: Sequence[Interval]
    """Its settlement intervals; at least one."""
    zone: ZoneInfo
    measure: Measure
    as_of: datetime
    """A day-of adjustment is made once its window is over by then. Aware."""
    event_days: AbstractSet[date] = frozenset()
    """Local dates on which other events took place."""
    holidays: AbstractSet[date] = frozenset()


class _Day(NamedTuple):
    """An eligible day."""

    day: date
    intervals: Sequence[Measured]
    before: Sequence[Measured]
    """The hours of the adjustment's window."""
    mean_w: float
    """Of its event hours."""


class _Adjusted(NamedTuple):
    factor: float | None
    offset_w: float | None
    note: str


def average_day(rule: BaselineRule, question: Question) -> Baseline:
    """The baseline by `rule`, with every day it took, every day it refused and why, and its adjustment."""
    event_day = question.intervals[0].start.astimezone(question.zone).date()
    restful = _restful(event_day, rule, question)
    days = rule.weekend if restful else rule.weekday
    window = adjustment_window(rule, question.intervals[0].start)
    hours = intervals_of(window.start, window.end, _HOUR) if window else ()
    taken, refused = _eligible(rule, days, question, event_day, hours)
    kept, dropped = _kept(days, taken)
    refused = sorted([*refused, *dropped], key=lambda one: one.day, reverse=True)
    if len(taken) < days.fewest:
        kept = []
    adjusted = _adjustment(rule.adjustment, hours, kept, question) if rule.adjustment and kept else _Adjusted(None, None, "")
    count = range(len(question.intervals))
    imported = [_mean([one.intervals[i].imported for one in kept]) for i in count]
    return Baseline(
        method=rule.method,
        import_wh=tuple(_apply(adjusted, wh, interval) for wh, interval in zip(imported, question.intervals, strict=True)),
        load_wh=tuple(_mean([one.intervals[i].load for one in kept]) for i in count),
        taken=tuple(one.day for one in kept),
        refused=tuple(refused),
        factor=adjusted.factor,
        offset_w=adjusted.offset_w,
        note="; ".join(part for part in (_shortage(days, taken), adjusted.note) if part),
    )


def adjustment_window(rule: BaselineRule, start: datetime) -> Interval | None:
    """The time before an event's start from which the baseline is adjusted; None where it is not."""
    if rule.adjustment is None:
        return None
    begin = start - rule.adjustment.begins_before
    return Interval(begin, begin + rule.adjustment.length)


def _eligible(
    rule: BaselineRule, days: DayRule, question: Question, event_day: date, hours: Sequence[Interval]
) -> tuple[list[_Day], list[Refused]]:
    taken: list[_Day] = []
    refused: list[Refused] = []
    seen: dict[int, Sequence[Measured]] = {}

    def measured(days_back: int) -> Sequence[Measured]:
        if days_back not in seen:
            seen[days_back] = question.measure([_days_before(one, days_back, question.zone) for one in (*question.intervals, *hours)])
        return seen[days_back]

    count = len(question.intervals)
    seed_w: float | None = None
    for day, days_back in _walk(rule, days, question, event_day):
        if reason := _passed_over(days, question, [_days_before(one, days_back, question.zone) for one in question.intervals]):
            refused.append(Refused(day, reason))
            continue
        found = measured(days_back)
        mean_w = _mean_w(found[:count], question.intervals)
        if mean_w is None:
            missing = next(
                _days_before(one, days_back, question.zone)
                for one, m in zip(question.intervals, found, strict=False)
                if m.imported.whole_wh(MIN_COVERED) is None
            )
            refused.append(Refused(day, f"no readings for {missing.start.astimezone(question.zone):%H:%M}"))
            continue
        if days.low_use is not None:
            if taken:
                reference_w: float | None = sum(one.mean_w for one in taken) / len(taken)
            else:
                seed_w = _seed_w(measured, days.low_use.seed_days, question.intervals) if seed_w is None else seed_w
                reference_w = seed_w
            if reference_w is not None and mean_w < days.low_use.share * reference_w:
                refused.append(Refused(day, f"low use: {mean_w:.0f} W is below {days.low_use.share:.0%} of {reference_w:.0f} W"))
                continue
        taken.append(_Day(day, found[:count], found[count:], mean_w))
        if len(taken) == days.take:
            break
    return taken, refused


def _walk(rule: BaselineRule, days: DayRule, question: Question, event_day: date) -> Iterator[tuple[date, int]]:
    for days_back in range(days.start, days.look_back + 1):
        day = event_day - days_back * _DAY
        if days.days is Days.SAME_WEEKDAY:
            wanted = day.weekday() == event_day.weekday()
        else:
            wanted = _restful(day, rule, question) is (days.days is Days.WEEKENDS)
        if wanted:
            yield day, days_back


def _passed_over(days: DayRule, question: Question, windows: Sequence[Interval]) -> str:
    dates = {window.start.astimezone(question.zone).date() for window in windows}
    if days.skip_event_days and question.event_days & dates:
        return "had an event"
    if days.skip_before_events and question.event_days & {day + _DAY for day in dates}:
        return "the day before an event"
    if days.skip_holidays and question.holidays & dates:
        return "a holiday"
    return ""


def _kept(days: DayRule, taken: Sequence[_Day]) -> tuple[list[_Day], list[Refused]]:
    """The days that stay, the latest first, and the others."""
    if days.keep_days is None:
        return list(taken), []
    ranked = sorted(taken, key=lambda one: one.mean_w, reverse=True)
    if days.keep == "highest":
        chosen = ranked[: days.keep_days]
    else:
        # With fewer days than the rule takes, as many still go at each end, as long as one is left.
        ends = (days.take - days.keep_days) // 2
        chosen = ranked[ends : len(ranked) - ends] if len(ranked) > 2 * ends else ranked
    what = f"not among the {days.keep_days} {'highest' if days.keep == 'highest' else 'in the middle'} of {len(taken)}"
    return (
        [one for one in taken if one in chosen],
        [Refused(one.day, f"{what}: {one.mean_w:.0f} W") for one in taken if one not in chosen],
    )


def _adjustment(rule: Adjustment, hours: Sequence[Interval], kept: Sequence[_Day], question: Question) -> _Adjusted:
    due = hours[-1].end
    if question.as_of < due:
        return _Adjusted(None, None, f"the adjustment is made when its hours are over, at {due.astimezone(question.zone):%H:%M}")
    actual = _total([one.imported for one in question.measure(hours)])
    totals = [total for one in kept if (total := _total([m.imported for m in one.before])) is not None]
    if actual is None or not totals:
        whose = "of the event day" if actual is None else "of the past days"
        return _Adjusted(None, None, f"not adjusted: no readings for the hours before {whose}")
    basis = sum(totals) / len(totals)
    if rule.kind == "additive":
        return _Adjusted(None, (actual - basis) / ((hours[-1].end - hours[0].start) / _HOUR), "")
    if basis <= 0.0:
        return _Adjusted(None, None, "not adjusted: the past days drew nothing in the hours before")
    factor = actual / basis
    return _Adjusted(min(max(factor, rule.least or 0.0), rule.most if rule.most is not None else factor), None, "")


def _apply(adjusted: _Adjusted, wh: float | None, interval: Interval) -> float | None:
    if wh is None:
        return None
    if adjusted.offset_w is not None:
        # An additive adjustment may ask for less than nothing.
        return max(0.0, wh + adjusted.offset_w * ((interval.end - interval.start) / _HOUR))
    return wh if adjusted.factor is None else wh * adjusted.factor


def _shortage(days: DayRule, taken: Sequence[_Day]) -> str:
    if len(taken) >= days.take:
        return ""
    if not taken:
        return f"none of the last {days.look_back} days has readings for these hours and no event"
    if len(taken) < days.fewest:
        return f"only {len(taken)} days are eligible, and the rule asks for at least {days.fewest}"
    return f"rests on {len(taken)} eligible day{'s' if len(taken) > 1 else ''} where the rule takes {days.take}"


def _seed_w(measured: Callable[[int], Sequence[Measured]], seed_days: int, intervals: Sequence[Interval]) -> float | None:
    """The highest interval within the event hours of the past days, known ones only."""
    return max(
        (
            watts
            for days_back in range(1, seed_days + 1)
            for one, interval in zip(measured(days_back), intervals, strict=False)
            if (watts := _mean_w([one], [interval])) is not None
        ),
        default=None,
    )


def _restful(day: date, rule: BaselineRule, question: Question) -> bool:
    return day.weekday() >= 5 or (rule.holidays_are_weekend and day in question.holidays)


def _days_before(interval: Interval, days_back: int, zone: ZoneInfo) -> Interval:
    """The same local time on an earlier date. A time that occurs twice means the first, one that is skipped moves on."""
    start = (interval.start.astimezone(zone).replace(fold=0) - days_back * _DAY).astimezone(UTC)
    return Interval(start, start + (interval.end - interval.start))


def _mean_w(found: Sequence[Measured], intervals: Sequence[Interval]) -> float | None:
    total = _total([one.imported for one in found])
    return None if total is None else total / (sum(((one.end - one.start) for one in intervals), timedelta()) / _HOUR)


def _total(energies: Sequence[Energy]) -> float | None:
    known = [wh for energy in energies if (wh := energy.whole_wh(MIN_COVERED)) is not None]
    return sum(known) if len(known) == len(energies) else None


def _mean(energies: Sequence[Energy]) -> float | None:
    known = [wh for energy in energies if (wh := energy.whole_wh(MIN_COVERED)) is not None]
    return sum(known) / len(known) if known else None
