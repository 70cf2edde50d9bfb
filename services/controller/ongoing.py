"""Phase ongoing: hold the reduction goal over each settlement interval, evenly when energy is short. Pure.

Three parts: `share` says how much the battery can be asked for, `pi` what the rest of the interval owes to the goal, and `layout` whether
the load therefore belongs on the battery now. The guard stands behind them.
"""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from math import inf

from services.controller import share
from services.controller.layout import on_battery
from services.controller.model import Interval, Memory, Proposal, Settings, Snapshot
from services.controller.observe import count
from services.controller.pi import carried, control
from services.controller.policies.common import sun
from services.controller.reasons import Reason
from services.controller.rules import OPEN_BELOW
from services.controller.view import View
from services.core.battery import even_power_w
from services.core.events import Event
from services.core.goals import Goal, GoalKind, Method
from services.core.modes import SAFE_MODE, Mode

SCARCE = 0.75
"""Of what may be moved to the inverter: a load that is higher on the mean cannot always be moved, so it is when it can be."""


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
    now_w, smooth_w = memory.learned.load_now_w, memory.learned.load_w
    if now_w is None or smooth_w is None or view.soc_pct is None:
        reason = Reason("soc_unknown" if view.soc_pct is None and now_w is not None else "load_unknown")
        return Proposal(SAFE_MODE, reason, next_change=event.end), interval

    baseline_w = _baseline_w(snapshot, now)
    interval = _at(now, interval, event, snapshot, smooth_w, settings)
    rest_s = (interval.end - now).total_seconds()
    left_s = left.total_seconds()
    on = memory.mode is Mode.BATTERY
    # What goes on flowing until the next cycle: half of it is the rounding, and the whole would undercut the lowest charge.
    half_step_wh = now_w * dt_s / 7200.0 if on else 0.0
    battery = settings.battery
    with_sun_pct = view.soc_pct
    if settings.panel:
        # The sun's energy may be given before it comes: half-way between what is expected and what can be relied upon.
        sunshine = sun(snapshot, memory, now, event.end, settings)
        with_sun_pct += 50.0 * (sunshine.wh + sunshine.low_wh) * battery.charge_efficiency / battery.capacity_wh
    minimize = event.goal.kind is GoalKind.MINIMIZE
    even_w = share.level_w(
        available_wh=even_power_w(battery, with_sun_pct, lowest_pct, left_s) * left_s / 3600.0 - half_step_wh,
        given_wh=interval.avoided_wh,
        elapsed_s=interval.elapsed_s,
        rest_s=rest_s,
        later_s=max(0.0, left_s - rest_s),
        worst_w=interval.worst_w,
        load_w=max(now_w, smooth_w) if minimize else None,
        earlier_wh=interval.earlier_wh,
        earlier_s=interval.earlier_s,
    )
    late = _bounds_import(event.goal, baseline_w)
    # A quarter's load is told best by the last minute, an hour's rather by the last quarter. Where the import is bounded
    # the layout counts on the same figure for both: then it begins when the bound is used up, whatever comes.
    wanted_w = _wanted_w(event.goal, interval, baseline_w, now_w if late else (now_w + smooth_w) / 2.0, rest_s)
    goal_w = min(wanted_w, even_w)
    output = control(
        goal_w=goal_w,
        elapsed_s=interval.elapsed_s,
        avoided_wh=interval.avoided_wh,
        carry_wh=interval.carry_wh,
        rest_s=rest_s,
        load_w=now_w,
        gain_p=settings.control.gain_p,
        gain_i=settings.control.gain_i,
    )
    operations = interval.operations + (memory.at is not None and memory.switching.p1_at == memory.at)
    last = interval.end >= event.end
    to_spend = settings.control.switchings_per_event - operations
    intervals_left = left / settings.interval
    carry_on = on_battery(
        now_on=on,
        owed_wh=output.demand_w * rest_s / 3600.0 - half_step_wh,
        next_wh=min(goal_w, now_w) * (interval.elapsed_s + rest_s) / 3600.0,
        load_w=now_w,
        elapsed_s=interval.elapsed_s,
        rest_s=rest_s,
        dwell_s=settings.dwell_s,
        last=last,
        phase=phase(settings.station),
        late=late or to_spend < 2.0 * intervals_left,
        scarce=minimize and smooth_w > SCARCE * OPEN_BELOW * battery.inverter_w,
    )
    spent = carry_on and not on and to_spend < 2
    interval = replace(interval, even_w=even_w, operations=operations)
    reason = _reason(carry_on, goal_w, wanted_w, view.soc_pct, left, lowest_pct, output.duty, even_w)
    if spent:
        carry_on, reason = False, Reason("switchings_spent", (operations, settings.control.switchings_per_event, view.soc_pct))
    mode = Mode.BATTERY if carry_on else Mode.GRID
    return Proposal(mode, reason, goal_w=goal_w, duty=output.duty, next_change=interval.end), interval


def _reason(
    carry_on: bool, goal_w: float, wanted_w: float, soc_pct: float, left: timedelta, lowest_pct: float, duty: float, even_w: float
) -> Reason:
    if wanted_w <= 0.0 and not carry_on:
        return Reason("nothing_to_reduce", (left,))
    if even_w <= 0.0 and not carry_on:
        return Reason("lowest_reached", (soc_pct, lowest_pct))
    if goal_w < wanted_w - 1.0:
        return Reason("holding_part" if carry_on else "part_met", (goal_w, wanted_w, soc_pct, left))
    if carry_on:
        return Reason("holding", (soc_pct, left, goal_w))
    return Reason("block_waits" if duty > 0.0 else "interval_met", (goal_w, soc_pct, left))


def _bounds_import(goal: Goal, baseline_w: float | None) -> bool:
    return goal.kind is GoalKind.LIMIT or (goal.kind is GoalKind.PLEDGE and baseline_w is not None)


@cache
def phase(station: str) -> float:
    """A station's own share, 0 to 1, of the time that its blocks can wait: the same after a restart, and even over a fleet."""
    return int.from_bytes(hashlib.sha256(f"{station}/phase".encode()).digest()[:4], "big") / 2**32


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


def _at(now: datetime, before: Interval | None, event: Event, snapshot: Snapshot, load_w: float, settings: Settings) -> Interval:
    """The interval at `now`. Intervals are aligned to the event's start; the last may be shorter."""
    running = before is not None and before.start <= now < min(before.end, event.end)
    if before is not None and running and before.goal in (None, event.goal):
        return before if before.end <= event.end else replace(before, end=event.end)
    carry_wh = 0.0
    if before is not None and event.goal.kind is GoalKind.PLEDGE:
        # Only a pledge is settled by its mean. A limit holds for each interval by itself, and minimising shares
        # out what the battery still holds, which already knows of any surplus.
        wanted_w = _wanted_w(before.goal or event.goal, before, _baseline_w(snapshot, before.start), load_w, 0.0)
        carry_wh = carried(
            before.carry_wh,
            goal_w=min(wanted_w, before.even_w),
            elapsed_s=before.elapsed_s,
            avoided_wh=before.avoided_wh,
            limit_wh=load_w * settings.dwell_s / 3600.0,
        )
    start = event.start + (now - event.start) // settings.interval * settings.interval
    end = min(start + settings.interval, event.end)
    operations = before.operations if before is not None else 0
    earlier_wh = before.earlier_wh + before.avoided_wh if before is not None else 0.0
    earlier_s = before.earlier_s + before.elapsed_s if before is not None else 0.0
    worst_w = share.worst_w(before) if before is not None and not running else None
    # Amended while it runs: what was given before is settled by what was asked then, and counting begins anew.
    return Interval(
        event.id,
        start,
        end,
        0.0,
        carry_wh,
        worst_w=worst_w,
        operations=operations,
        goal=event.goal,
        earlier_wh=earlier_wh,
        earlier_s=earlier_s,
    )
