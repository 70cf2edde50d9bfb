"""Baselines and settlements of events from the journal, in the form in which they are published."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from services.bus.messages.events import (
    BaselineInterval,
    EventBaseline,
    EventMessage,
    EventPerformance,
    PerformanceInterval,
    RefusedDay,
)
from services.core.baseline import METHODS, Interval, Measured, intervals_of
from services.core.config.station import Station
from services.core.energy import Quantity
from services.core.events import OPEN_STATUSES, EventStatus
from services.core.settlement import elapsed, settle
from services.recorder.history import History

GAP_POLLS = 5
"""So many polls of the slowest device may fail before its power counts as unknown."""


def max_gap_s(station: Station, speed: float) -> float:
    """How far apart, in station seconds, two readings may be for power to be known in between."""
    polls = [station.battery.poll_s, *(device.poll_s for device in station.positions.relays().values())]
    return GAP_POLLS * max(polls) * speed


def took_place(event: EventMessage) -> bool:
    """Whether the event changed its day: it ran, or had begun when it was given up."""
    given_up = event.status in (EventStatus.CANCELLED, EventStatus.OPTED_OUT)
    return event.status in (EventStatus.ONGOING, EventStatus.COMPLETED) or (given_up and event.ts > event.start)


def end_of(event: EventMessage) -> datetime:
    """When the event ended or is to end; earlier than announced if it was given up."""
    return (
        event.end if event.status in OPEN_STATUSES or event.status is EventStatus.COMPLETED else min(event.end, max(event.ts, event.start))
    )


def baseline(event: EventMessage, ts: datetime, station: Station, history: History, gap_s: float) -> EventBaseline:
    """The baseline of `event` as it can be known at `ts`. Raises JournalError."""
    intervals = intervals_of(event.start, event.end, station.control.settlement_interval)

    def measure(windows: Sequence[Interval]) -> list[Measured]:
        flows = history.flows(windows[0].start, windows[-1].end, gap_s)
        spans = [(window.start.timestamp(), window.end.timestamp()) for window in windows]
        return [Measured(flows.quantity(Quantity.IMPORT, *span), flows.quantity(Quantity.LOAD, *span)) for span in spans]

    others = (other for body in history.events() if (other := EventMessage.model_validate(body)).id != event.id)
    found = METHODS["mean_of_recent_days"](intervals, station.zone, _days(others, station), measure)
    return EventBaseline(
        ts=ts,
        event_id=event.id,
        method=found.method,
        days=tuple(day.isoformat() for day in found.taken),
        refused=tuple(RefusedDay(day=refused.day.isoformat(), reason=refused.reason) for refused in found.refused),
        note=found.note,
        intervals=tuple(
            BaselineInterval(start=interval.start, end=interval.end, import_wh=_round(import_wh), load_wh=_round(load_wh))
            for interval, import_wh, load_wh in zip(intervals, found.import_wh, found.load_wh, strict=True)
        ),
    )


def fits(found: EventBaseline, event: EventMessage, station: Station) -> bool:
    """Whether `found` was made for the intervals that `event` has now."""
    wanted = intervals_of(event.start, event.end, station.control.settlement_interval)
    return [(one.start, one.end) for one in found.intervals] == [(one.start, one.end) for one in wanted]


def performance(
    event: EventMessage, against: EventBaseline, until: datetime, history: History, gap_s: float, *, ts: datetime, final: bool
) -> EventPerformance | None:
    """What `event` has come to until then; None before it has begun. Raises JournalError."""
    whole = [Interval(one.start, one.end) for one in against.intervals]
    intervals, baseline_wh = elapsed(whole, (one.import_wh for one in against.intervals), until)
    if not intervals:
        return None
    settled = settle(intervals, baseline_wh, history.flows(intervals[0].start, intervals[-1].end, gap_s))
    return EventPerformance(
        ts=ts,
        event_id=event.id,
        final=final,
        intervals=tuple(
            PerformanceInterval(
                start=one.start,
                end=one.end,
                baseline_wh=_round(one.baseline_wh),
                import_wh=_round(one.import_wh),
                avoided_wh=_round(one.avoided_wh),
                pv_wh=_round(one.pv_wh),
                reduction_wh=_round(one.reduction_wh),
                covered=round(one.covered, 4),
            )
            for one in settled.intervals
        ),
        avoided_wh=_round(settled.avoided_wh),
        reduction_wh=_round(settled.reduction_wh),
        covered=round(settled.covered, 4),
    )


def _days(events: Iterable[EventMessage], station: Station) -> set[date]:
    """The local dates on which one of `events` took place."""
    days = set()
    for event in events:
        if took_place(event):
            first, last = (ts.astimezone(station.zone).date() for ts in (event.start, end_of(event)))
            days |= {first + timedelta(days=i) for i in range((last - first).days + 1)}
    return days


def _round(wh: float | None) -> float | None:
    # A milliwatt-hour is far below what any of the devices measures; adding zero turns -0.0 into 0.0.
    return None if wh is None else round(wh, 3) + 0.0
