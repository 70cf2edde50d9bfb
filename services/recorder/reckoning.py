"""Baselines and settlements of events from the journal, in the form in which they are published."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from services.bus import programmes
from services.bus.messages.events import (
    BaselineInterval,
    EventBaseline,
    EventMessage,
    EventPerformance,
    PerformanceInterval,
    RefusedDay,
)
from services.core.average_day import Question, adjustment_window, average_day
from services.core.baseline import Interval, intervals_of
from services.core.config.station import Station
from services.core.energy import Quantity
from services.core.events import OPEN_STATUSES, EventStatus
from services.core.positions import Position
from services.core.programme import Programme
from services.core.settlement import Metered, elapsed, settle
from services.recorder import payments
from services.recorder.estimates import LoadEstimate
from services.recorder.history import History
from services.recorder.holiday_days import HolidayDays, holidays_of

GAP_POLLS = 5
"""So many polls of the slowest device may fail before its power counts as unknown."""


def max_gap_s(station: Station, speed: float) -> float:
    """How far apart, in station seconds, two readings may be for power to be known in between."""
    polls = [station.battery.poll_s, *(device.poll_s for device in station.positions.relays().values())]
    return GAP_POLLS * max(polls) * speed


def programme_of(station: Station) -> Programme:
    """The rules by which the station's events are settled. Raises ConfigError for a programme that is not there."""
    return station.programme.rules or programmes.load(station.programme.name)


def holidays_around(station: Station, at: datetime) -> HolidayDays:
    """The holidays that matter for an event then: of its year, and of two before, from which a load is learnt."""
    year = at.astimezone(station.zone).year
    return holidays_of(programme_of(station).holidays, (year - 2, year - 1, year))


def intervals_for(event: EventMessage, station: Station) -> tuple[Interval, ...]:
    """The settlement intervals of `event`, by the programme, else by the station's own control."""
    return intervals_of(event.start, event.end, programme_of(station).settlement_interval or station.control.settlement_interval)


def took_place(event: EventMessage) -> bool:
    """Whether the event changed its day: it ran, or had begun when it was given up."""
    given_up = event.status in (EventStatus.CANCELLED, EventStatus.OPTED_OUT)
    return event.status in (EventStatus.ONGOING, EventStatus.COMPLETED) or (given_up and event.ts > event.start)


def end_of(event: EventMessage) -> datetime:
    """When the event ended or is to end; earlier than announced if it was given up."""
    return (
        event.end if event.status in OPEN_STATUSES or event.status is EventStatus.COMPLETED else min(event.end, max(event.ts, event.start))
    )


def adjusted_at(event: EventMessage, station: Station) -> datetime | None:
    """When the day's own hours before the event are over, and the baseline is to be adjusted by them; None if it never is."""
    window = adjustment_window(programme_of(station).baseline, event.start)
    return window.end if window else None


def baseline(event: EventMessage, ts: datetime, station: Station, history: History, gap_s: float) -> EventBaseline:
    """The baseline of `event` by its programme's rule, as it can be known at `ts`. Raises JournalError."""
    programme, intervals, holidays = programme_of(station), intervals_for(event, station), holidays_around(station, event.start)
    others = (other for body in history.events() if (other := EventMessage.model_validate(body)).id != event.id)
    question = Question(
        intervals=intervals,
        zone=station.zone,
        measure=lambda windows: history.measured(windows, gap_s),
        as_of=ts,
        event_days=_days(others, station),
        holidays=holidays.days,
    )
    found = average_day(programme.baseline, question)
    return EventBaseline(
        ts=ts,
        event_id=event.id,
        method=found.method,
        days=tuple(day.isoformat() for day in found.taken),
        refused=tuple(RefusedDay(day=refused.day.isoformat(), reason=refused.reason) for refused in found.refused),
        note="; ".join(part for part in (found.note, holidays.problem) if part),
        intervals=tuple(
            BaselineInterval(start=interval.start, end=interval.end, import_wh=_round(import_wh), load_wh=_round(load_wh))
            for interval, import_wh, load_wh in zip(intervals, found.import_wh, found.load_wh, strict=True)
        ),
        programme=programme.name,
        recall=programme.recall,
        factor=_round(found.factor),
        offset_w=_round(found.offset_w),
        frozen=ts >= event.start,
    )


def with_load(found: EventBaseline, load: LoadEstimate) -> EventBaseline:
    """`found` with the low-bias estimate of the load."""
    intervals = tuple(
        one.model_copy(update={"load_wh": _round(wh), "load_low_wh": _round(low), "load_high_wh": _round(high)})
        for one, wh, low, high in zip(found.intervals, load.load_wh, load.low_wh, load.high_wh, strict=True)
    )
    return found.model_copy(
        update={
            "intervals": intervals,
            "load_method": load.method,
            "load_trials": load.trials,
            "load_error": _round(load.error),
            "load_total_wh": _round(load.total_wh),
            "load_total_low_wh": _round(load.total_low_wh),
            "load_total_high_wh": _round(load.total_high_wh),
        }
    )


def fits(found: EventBaseline, event: EventMessage, station: Station) -> bool:
    """Whether `found` was made for the intervals that `event` has now."""
    wanted = intervals_for(event, station)
    return [(one.start, one.end) for one in found.intervals] == [(one.start, one.end) for one in wanted]


def performance(
    event: EventMessage,
    against: EventBaseline,
    until: datetime,
    history: History,
    gap_s: float,
    *,
    ts: datetime,
    final: bool,
    station: Station | None = None,
) -> EventPerformance | None:
    """What `event` has come to until then; None before it has begun. With `station`, what it is paid, too. Raises JournalError."""
    whole = [Interval(one.start, one.end) for one in against.intervals]
    intervals, baseline_wh = elapsed(whole, (one.import_wh for one in against.intervals), until)
    if not intervals:
        return None
    energies = history.energies([(one.start, one.end) for one in intervals], gap_s)
    found = [
        Metered(one.flows[Quantity.IMPORT], one.flows[Quantity.AVOIDED], one.flows[Position.P4], one.flows[Position.P3], one.metered)
        for one in energies
    ]
    settled = settle(intervals, baseline_wh, found)
    loads = [elapsed(whole, wh, until)[1] for wh in payments.estimated(against)]
    figures = EventPerformance(
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
                load_estimate_wh=_round(loads[0][i]),
                load_low_wh=_round(loads[1][i]),
                load_high_wh=_round(loads[2][i]),
            )
            for i, one in enumerate(settled.intervals)
        ),
        avoided_wh=_round(settled.avoided_wh),
        reduction_wh=_round(settled.reduction_wh),
        covered=round(settled.covered, 4),
        pv_wh=_round(settled.pv_wh),
        given_wh=_round(settled.given_wh),
        **payments.estimate_fields(against, settled, loads[0], over=intervals[-1].end == whole[-1].end),
    )
    return figures if station is None else payments.paid(figures, event, programme_of(station), station)


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
