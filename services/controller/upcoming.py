"""Phase upcoming: be full by the start of the event, charging as late as is safe, with room left for the sun. Pure."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from services.controller.model import Memory, Proposal, Settings, Snapshot
from services.controller.policies.common import sun
from services.controller.reasons import Reason
from services.controller.view import View
from services.core.battery import charging_s
from services.core.charge_curve import UNMEASURED, charging_time
from services.core.event_book import UPCOMING_LEAD
from services.core.events import Event
from services.core.modes import SAFE_MODE, Mode
from services.core.preferences import Preferences
from services.core.quiet import Span, free_s, latest_begin_s, spans

RECHARGE_BELOW_PCT = 2.0
"""A full battery may settle by so much before it is charged again."""
SPARE_S = 300.0
"""Beside the margin: a relay's dwell, a charger that ramps up, a percent that the station rounds away."""
MOST_TIMES = 2.0
"""Whatever the uncertainty: no margin makes the charge begin more than so many times the configured one before."""


class Blocked(NamedTuple):
    """When nothing may be charged before an event."""

    quiet: tuple[Span, ...]
    busy: tuple[Span, ...]
    adjustment: tuple[Span, ...]
    """Where it is avoided only."""


def propose(event: Event, snapshot: Snapshot, view: View, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    """Rest, or charge, so that the battery is full when `event` starts."""
    left = event.start - now
    if view.soc_pct is None:
        return Proposal(SAFE_MODE, Reason("soc_unknown"), next_change=event.start)
    slack_pct = 0.0 if memory.charging else RECHARGE_BELOW_PCT
    target_pct = 100.0
    if view.soc_pct < target_pct - slack_pct:
        room_wh = sun(snapshot, memory, now, event.start, settings).low_wh * settings.battery.charge_efficiency
        target_pct = max(lowest_pct, 100.0 - 100.0 * room_wh / settings.battery.capacity_wh)
    if view.soc_pct >= target_pct - slack_pct:
        return Proposal(SAFE_MODE, Reason("full_for_event", (event.id, view.soc_pct, left)), next_change=event.start)
    needed_s = _needed_s(view.soc_pct, target_pct, memory, settings)
    blocked = _blocked(event, snapshot, settings)
    hard = blocked.quiet + blocked.busy
    now_s, start_s = now.timestamp(), event.start.timestamp()
    if (until_s := _inside(now_s, hard)) is not None:
        code = "quiet_before_event" if _inside(now_s, blocked.quiet) is not None else "busy_before_event"
        return Proposal(SAFE_MODE, Reason(code, (event.id, left)), next_change=datetime.fromtimestamp(until_s, UTC))
    charge = Proposal(
        Mode.GRID_AND_CHARGE, Reason("charging_for_event", (event.id, view.soc_pct, target_pct, left)), next_change=event.start
    )
    if (until_s := _inside(now_s, blocked.adjustment)) is not None:
        after = datetime.fromtimestamp(until_s, UTC)
        if free_s(now_s, start_s, hard + blocked.adjustment) >= needed_s:
            return Proposal(SAFE_MODE, Reason("sparing_adjustment", (event.id, left, after)), next_change=after)
        return charge._replace(reason=Reason("charging_in_adjustment", (event.id, view.soc_pct, target_pct, left)))
    begin_s = latest_begin_s(needed_s, start_s, hard + blocked.adjustment)
    if memory.charging or now_s >= begin_s:
        return charge
    begin = datetime.fromtimestamp(begin_s, UTC)
    return Proposal(SAFE_MODE, Reason("waiting_to_charge", (event.id, left, begin - now)), next_change=begin)


def in_adjustment(event: Event, now: datetime, settings: Settings) -> bool:
    """Whether `now` is one of the hours by which the programme adjusts the event's baseline."""
    begin = event.start - settings.control.adjustment_before
    return begin <= now < min(begin + settings.control.adjustment_length, event.start)


def lead(preferences: Preferences, settings: Settings) -> timedelta:
    """How long before its start an event takes over from the daily cycle: a full charge, around the hours in which none may be."""
    battery = settings.battery
    full_s = settings.control.charge_margin * charging_s(battery, battery.floor_pct, 100.0, battery.charge_w) + SPARE_S
    needed = timedelta(seconds=full_s) + settings.control.adjustment_length
    quiet = preferences.quiet_hours
    return max(UPCOMING_LEAD, needed) + (quiet.length if quiet is not None else timedelta(0))


def _needed_s(soc_pct: float, target_pct: float, memory: Memory, settings: Settings) -> float:
    """The charging time with its margin, which is as wide as what was measured of this charger is uncertain."""
    charge_w = memory.learned.charge_w or settings.battery.charge_w
    found = charging_time(memory.learned.curve, settings.battery, soc_pct, target_pct, charge_w)
    margin = (settings.control.charge_margin - 1.0) * min(MOST_TIMES, found.uncertainty / UNMEASURED)
    return found.seconds * (1.0 + margin) + SPARE_S


def _blocked(event: Event, snapshot: Snapshot, settings: Settings) -> Blocked:
    begin = event.start - timedelta(days=2)
    quiet = snapshot.preferences.quiet_hours
    adjusted_s = (event.start - settings.control.adjustment_before).timestamp()
    end_s = min(adjusted_s + settings.control.adjustment_length.total_seconds(), event.start.timestamp())
    return Blocked(
        quiet=spans(quiet, begin, event.start, settings.zone) if quiet is not None else (),
        busy=snapshot.busy,
        adjustment=(Span(adjusted_s, end_s),) if adjusted_s < end_s else (),
    )


def _inside(now_s: float, blocked: tuple[Span, ...]) -> float | None:
    """When the span that holds `now_s` ends; None outside all."""
    return max((span.end_s for span in blocked if span.begin_s <= now_s < span.end_s), default=None)
