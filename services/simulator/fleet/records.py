"""What a light station reports, in the wire's own models. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.bus.uplink.batches import EventInterval, EventRecord, HourRecord, Registration
from services.bus.uplink.messages import AggregatorEvent
from services.core.events import EventStatus
from services.simulator.fleet.home import Home, Span, baseline_wh, energy

INTERVAL = timedelta(hours=1)


def registration(one: Home, network: str) -> Registration:
    """What the station can do."""
    return Registration(
        network=network, level="hourly", capacity_wh=one.capacity_wh, power_w=one.power_w, pledge_w=one.pledge_w, programme="recent-days"
    )


def hours(one: Home, starts: Sequence[datetime], events: Sequence[Span]) -> list[HourRecord]:
    """One record each."""
    found = []
    for start in starts:
        flows = energy(one, start, start + timedelta(hours=1), events)
        found.append(
            HourRecord(
                start=start,
                p1_wh=round(flows.p1_wh, 1),
                p2_wh=round(flows.p2_wh, 1),
                p3_wh=round(flows.p3_wh, 1),
                soc_pct=round(flows.soc_pct, 1),
                covered=1.0,
            )
        )
    return found


def settled(one: Home, event: AggregatorEvent, span: Span) -> EventRecord:
    """What the event came to, once it is over."""
    intervals = []
    start = span.start
    while start < span.end:
        end = min(span.end, start + INTERVAL)
        flows, baseline = energy(one, start, end, [span]), baseline_wh(one, start, end)
        intervals.append(
            EventInterval(
                start=start,
                end=end,
                baseline_wh=round(baseline, 1),
                reduction_wh=round(baseline - flows.p1_wh - flows.p2_wh, 1),
                avoided_wh=round(flows.p3_wh - flows.p2_wh, 1),
                covered=1.0,
            )
        )
        start = end
    return EventRecord(
        id=event.id,
        revision=event.revision,
        start=span.start,
        end=span.end,
        status=EventStatus.COMPLETED,
        test=event.test,
        goal=event.goal,
        baseline_method="closed-form",
        intervals=tuple(intervals),
        baseline_wh=round(sum(one.baseline_wh or 0 for one in intervals), 1),
        reduction_wh=round(sum(one.reduction_wh or 0 for one in intervals), 1),
        avoided_wh=round(sum(one.avoided_wh or 0 for one in intervals), 1),
        pledge_w=one.pledge_w,
        covered=1.0,
        final=True,
    )
