"""Phase ongoing: hold the reduction goal over each settlement interval, evenly when energy is short. Pure."""

from dataclasses import replace
from datetime import datetime
from math import inf

from services.controller.layout import on_battery
from services.controller.model import Interval, Memory, Proposal, Settings, Snapshot
from services.controller.observe import count
from services.controller.pi import carried, control
from services.controller.reasons import Reason
from services.controller.view import View
from services.core.battery import even_power_w
from services.core.events import Event
from services.core.goals import Goal, GoalKind, Method
from services.core.modes import SAFE_MODE, Mode


def propose(
    event: Event, snapshot: Snapshot, view: View, memory: Memory, now: datetime, dt_s: float, lowest_pct: float, settings: Settings
) -> tuple[Proposal, Interval | None]:
    """What the event asks for now, and its settlement interval with this cycle counted in."""
    left = event.end - now
    if Method.REPLACEMENT not in event.methods or Mode.BATTERY not in settings.allowed:
        return Proposal(SAFE_MODE, Reason("method_impossible"), next_change=event.end), None
    interval = memory.interval if memory.interval is not None and memory.interval.event_id == event.id else None
    if interval is not None:
        interval = count(interval, view, dt_s)
    load_w = memory.learned.load_w
    if load_w is None or view.soc_pct is None:
        reason = Reason("load_unknown" if load_w is None else "soc_unknown")
        return Proposal(SAFE_MODE, reason, next_change=event.end), interval

    if interval is None or not interval.start <= now < min(interval.end, event.end):
        interval = _next_interval(interval, event, snapshot, view.soc_pct, load_w, now, lowest_pct, settings)
    elif interval.end > event.end:
        interval = replace(interval, end=event.end)

    rest_s = (interval.end - now).total_seconds()
    wanted_w = _wanted_w(event.goal, interval, _baseline_w(snapshot, now), load_w, rest_s)
    goal_w = min(wanted_w, interval.even_w)
    output = control(
        goal_w=goal_w,
        elapsed_s=interval.elapsed_s,
        avoided_wh=interval.avoided_wh,
        carry_wh=interval.carry_wh,
        rest_s=rest_s,
        load_w=load_w,
        gain_p=settings.control.gain_p,
        gain_i=settings.control.gain_i,
    )
    carry_on = on_battery(
        now_on=memory.mode is Mode.BATTERY,
        duty=output.duty,
        rest_s=rest_s,
        dwell_s=settings.dwell_s,
        last=interval.end >= event.end,
    )
    if carry_on and goal_w < wanted_w - 1.0:
        reason = Reason("holding_part", (goal_w, wanted_w, view.soc_pct, left))
    elif carry_on:
        reason = Reason("holding", (view.soc_pct, left, goal_w))
    elif wanted_w <= 0.0:
        reason = Reason("nothing_to_reduce", (left,))
    elif interval.even_w <= 0.0:
        reason = Reason("lowest_reached", (view.soc_pct, lowest_pct))
    else:
        reason = Reason("interval_met", (goal_w, view.soc_pct, left))
    mode = Mode.BATTERY if carry_on else Mode.GRID
    return Proposal(mode, reason, goal_w=goal_w, duty=output.duty, next_change=interval.end), interval


def _wanted_w(goal: Goal, interval: Interval, baseline_w: float | None, load_w: float, rest_s: float) -> float:
    """The mean battery power over the whole interval that would meet the goal; never more than its load."""
    total_s = interval.elapsed_s + rest_s
    mean_load_w = (interval.load_wh * 3600.0 + load_w * rest_s) / total_s if total_s > 0.0 else load_w
    if goal.kind is GoalKind.MINIMIZE or goal.power_w is None:
        wanted_w = inf
    elif goal.kind is GoalKind.LIMIT:
        wanted_w = mean_load_w - goal.power_w
    elif baseline_w is None:
        # With no baseline yet the pledge is held on what the battery is measured to give.
        wanted_w = goal.power_w
    else:
        wanted_w = mean_load_w - max(0.0, baseline_w - goal.power_w)
    return min(max(0.0, wanted_w), mean_load_w)


def _baseline_w(snapshot: Snapshot, now: datetime) -> float | None:
    for span in snapshot.baseline:
        if span.start <= now < span.end:
            return span.import_w
    return None


def _next_interval(
    before: Interval | None,
    event: Event,
    snapshot: Snapshot,
    soc_pct: float,
    load_w: float,
    now: datetime,
    lowest_pct: float,
    settings: Settings,
) -> Interval:
    """The interval at `now`. Intervals are aligned to the event's start; the last may be shorter."""
    carry_wh = 0.0
    if before is not None and event.goal.kind is GoalKind.PLEDGE:
        # Only a pledge is settled by its mean. A limit holds for each interval by itself, and minimising shares
        # out what the battery still holds, which already knows of any surplus.
        wanted_w = _wanted_w(event.goal, before, _baseline_w(snapshot, before.start), load_w, 0.0)
        carry_wh = carried(
            before.carry_wh,
            goal_w=min(wanted_w, before.even_w),
            elapsed_s=before.elapsed_s,
            avoided_wh=before.avoided_wh,
            limit_wh=load_w * settings.dwell_s / 3600.0,
        )
    start = event.start + (now - event.start) // settings.interval * settings.interval
    even_w = even_power_w(settings.battery, soc_pct, lowest_pct, (event.end - now).total_seconds())
    return Interval(event.id, start, min(start + settings.interval, event.end), even_w, carry_wh)
