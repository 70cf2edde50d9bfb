"""Method curtailment: the load is off for the rest of an interval whose goal nothing else can meet any more. Pure.

Only with the person's own consent, only where what hangs on the switched load is stated and none of it must always be on, and only with an
actuator at P3 (mode 0). Nothing is off sooner than it has to be: the import that the goal allows is used up first.
"""

from datetime import datetime

from services.controller.model import Interval, Memory, Proposal, Settings, Snapshot
from services.controller.observe import count
from services.controller.reasons import Reason
from services.controller.view import View
from services.core.events import Event
from services.core.goals import GoalKind, Method
from services.core.modes import Mode

_MET = frozenset({"holding", "interval_met", "block_waits", "nothing_to_reduce"})
"""Reasons of a proposal that meets the goal."""
SLACK_S = 10.0
"""The load is off so much before the last of the allowed import is used: a cycle, and the relay's way."""


def instead(
    proposal: Proposal,
    interval: Interval | None,
    event: Event,
    snapshot: Snapshot,
    view: View,
    memory: Memory,
    now: datetime,
    dt_s: float,
    settings: Settings,
) -> tuple[Proposal, Interval | None]:
    """What the event's other methods make of the battery's `proposal`: the load off, where it is curtailment's turn, else unchanged."""
    code = proposal.reason.code
    if code == "method_impossible" and Method.SHIFTING in event.methods and settings.shiftable:
        proposal = proposal._replace(reason=Reason("shifting_alone", (event.end - now,)))
    consent = Method.CURTAILMENT in event.methods and Method.CURTAILMENT in snapshot.preferences.methods
    if not consent or settings.curtailment_refused is not None:
        return proposal, interval
    if interval is None:
        interval = _counted(event, view, memory, now, dt_s, settings)
    allowed_w = _allowed_w(event, snapshot, now)
    if allowed_w is None:
        return proposal, interval
    allowed_wh = allowed_w * (interval.end - interval.start).total_seconds() / 3600.0
    # An off that has begun is not broken up: the way back to the battery leads over the grid, whose share is used up.
    off = memory.mode is Mode.ALL_OFF and interval.import_wh > 0.0
    first = Method.REPLACEMENT not in event.methods or event.methods.index(Method.CURTAILMENT) < event.methods.index(Method.REPLACEMENT)
    if not off:
        if not first and (proposal.mode is Mode.BATTERY or code in _MET):
            return proposal, interval
        soon_wh = (view.load_w or 0.0) * SLACK_S / 3600.0
        if interval.import_wh + soon_wh < allowed_wh or (interval.end - now).total_seconds() <= SLACK_S:
            return proposal, interval
    reason = Reason("curtailed", (interval.import_wh, allowed_wh, event.end - now))
    return proposal._replace(mode=Mode.ALL_OFF, reason=reason, next_change=interval.end), interval


def _allowed_w(event: Event, snapshot: Snapshot, now: datetime) -> float | None:
    """The import that the goal allows; None for a pledge without a baseline, where nothing says what an off load would have drawn."""
    goal = event.goal
    if goal.kind is GoalKind.MINIMIZE or goal.power_w is None:
        return 0.0
    if goal.kind is GoalKind.LIMIT:
        return goal.power_w
    baseline_w = next((span.import_w for span in snapshot.baseline if span.start <= now < span.end), None)
    return None if baseline_w is None else max(0.0, baseline_w - goal.power_w)


def _counted(event: Event, view: View, memory: Memory, now: datetime, dt_s: float, settings: Settings) -> Interval:
    """The running interval of an event in which the battery takes no part."""
    before = memory.interval
    if before is not None and before.event_id == event.id and before.start <= now < min(before.end, event.end):
        return count(before, view, dt_s)
    start = event.start + (now - event.start) // settings.interval * settings.interval
    return Interval(event.id, start, min(start + settings.interval, event.end), 0.0)
