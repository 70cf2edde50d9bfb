"""What an event's figures are worth by the programme's rules, the honest estimate beside them, and what a revision changed."""

from collections.abc import Sequence
from datetime import datetime

from services.bus.messages.events import EventBaseline, EventMessage, EventPerformance
from services.core.config.station import Station
from services.core.goals import GoalKind
from services.core.money import event_payment, performance_factor
from services.core.programme import Calls, Programme
from services.core.settlement import Settlement

REVISED_WH = 0.05
"""A change below this is rounding, not news."""
_TOLD = (
    ("avoided_wh", "metered avoided energy", "Wh"),
    ("reduction_wh", "reduction", "Wh"),
    ("estimate_reduction_wh", "estimated reduction", "Wh"),
    ("pv_wh", "PV", "Wh"),
    ("payment", "payment", ""),
)


def estimated(against: EventBaseline) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """The low-bias estimate of each interval's load, and its ends; all unknown where there is none."""
    if not against.load_method:
        unknown: list[float | None] = [None] * len(against.intervals)
        return unknown, unknown, unknown
    return (
        [one.load_wh for one in against.intervals],
        [one.load_low_wh for one in against.intervals],
        [one.load_high_wh for one in against.intervals],
    )


def estimate_fields(against: EventBaseline, settled: Settlement, load_wh: Sequence[float | None], *, over: bool) -> dict[str, float | None]:
    """The reduction against the low-bias estimate of the load, and, once the event is `over`, its interval."""
    total, imported = 0.0, 0.0
    for one, wh in zip(settled.intervals, load_wh, strict=True):
        if wh is None or one.import_wh is None:
            return {}
        total += wh * one.import_covered
        imported += one.import_wh
    fields: dict[str, float | None] = {"estimate_reduction_wh": _round(total - imported)}
    ends = (against.load_total_low_wh, against.load_total_high_wh)
    if over and against.load_total_wh and None not in ends:
        share = total / against.load_total_wh
        low, high = (None if end is None else _round(end * share - imported) for end in ends)
        fields |= {"estimate_low_wh": low, "estimate_high_wh": high}
    return fields


def paid(figures: EventPerformance, event: EventMessage, programme: Programme, station: Station) -> EventPerformance:
    """`figures` with the programme's performance factor and payment, and what is unusual about the event."""
    pledge_w = station.programme.pledge_w
    if pledge_w is None and event.goal.kind is GoalKind.PLEDGE:
        pledge_w = event.goal.reduction_w
    reduction_wh = figures.reduction_wh
    factor = None
    if pledge_w and reduction_wh is not None:
        hours = (figures.intervals[-1].end - figures.intervals[0].start).total_seconds() / 3600
        factor = performance_factor(reduction_wh / hours, pledge_w, programme.performance_factor)
    rates = programme.rates
    payment = None if rates is None or reduction_wh is None else round(event_payment(reduction_wh, rates), 4)
    return figures.model_copy(
        update={
            "pledge_w": pledge_w,
            "performance_factor": factor,
            "payment": payment,
            "currency": rates.currency if rates else None,
            "notes": unusual(event, programme, station),
        }
    )


def unusual(event: EventMessage, programme: Programme, station: Station) -> tuple[str, ...]:
    """Why the programme itself would not have called this event."""
    start, end = event.start.astimezone(station.zone), event.end.astimezone(station.zone)
    notes = []
    if programme.season is not None and not any(
        first <= start.date() <= last for first, last in (programme.season.span(start.year), programme.season.span(start.year - 1))
    ):
        notes.append(f"it lies outside of the season of {programme.name} ({programme.season.first} to {programme.season.last})")
    calls = programme.calls
    if calls.days == "weekdays" and start.weekday() >= 5:
        notes.append(f"{programme.name} calls on weekdays only")
    if calls.longest is not None and end - start > calls.longest:
        notes.append(f"{programme.name} calls for {calls.longest.total_seconds() / 3600:g} h at most")
    if calls.windows and not _called_then(calls, start, end):
        notes.append(f"it lies outside of the hours of {programme.name} ({', '.join(calls.windows)})")
    if event.test:
        notes.append("it is a test")
    return tuple(notes)


def revised(figures: EventPerformance, before: EventPerformance) -> EventPerformance | None:
    """`figures` as a revision of final ones, saying what changed; None if nothing did, or if less is known now than then."""
    if figures.covered < before.covered:
        return None  # readings were dropped with age, not corrected
    changed = []
    for name, title, unit in _TOLD:
        old, new = getattr(before, name), getattr(figures, name)
        if (old is None) != (new is None) or (old is not None and new is not None and abs(new - old) >= REVISED_WH):
            changed.append(f"{title} {_said(old, unit)} → {_said(new, unit)}")
    if not changed and abs(figures.covered - before.covered) < 0.001:
        return None
    if figures.covered != before.covered:
        changed.insert(0, f"covered {before.covered:.1%} → {figures.covered:.1%}")
    return figures.model_copy(update={"revision": before.revision + 1, "changed": tuple(changed)})


def _called_then(calls: Calls, start: datetime, end: datetime) -> bool:
    for window in calls.windows:
        first, last = (_minutes(text) for text in window.split("-"))
        begin = start.hour * 60 + start.minute
        if first <= begin and begin + (end - start).total_seconds() / 60 <= last:
            return True
    return False


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _said(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.1f} {unit}".strip() if unit else f"{value:.2f}"


def _round(value: float) -> float:
    return round(value, 3) + 0.0
