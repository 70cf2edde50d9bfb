"""What a cycle's readings add to the memory: interval energy, the load, the charging power, the sun's hours. Pure."""

from datetime import datetime

from services.controller import charge_learning
from services.controller.model import Interval, Learned, Memory, Settings
from services.controller.view import View
from services.core.battery import TAPER_FROM_PCT
from services.core.modes import FEEDS, Feed, Mode
from services.core.observer import Inputs, Observer, update
from services.core.pv_forecast import spread_after

LOAD_TIME_CONSTANT_S = 900.0
"""Smoothing of the load: about one cycle of a refrigerator's compressor."""
LOAD_NOW_TIME_CONSTANT_S = 60.0
"""Smoothing of the load to expect next; of 30 s to 15 min this told the next five minutes best."""
CHARGE_TIME_CONSTANT_S = 600.0
PV_DAYS = 5.0
"""The PV profile is smoothed over about so many days."""
LONGEST_STEP_S = 300.0
"""A reading stands for at most this long a step; what lies beyond is unknown."""
CHARGING_W = 20.0
"""Above this P2 is charging, not floating."""


def step_s(memory: Memory, now: datetime) -> float:
    """Station seconds since the last decision for which the present readings may stand; 0 after a step back."""
    if memory.at is None:
        return 0.0
    elapsed_s = (now - memory.at).total_seconds()
    return elapsed_s if 0.0 <= elapsed_s <= LONGEST_STEP_S else LONGEST_STEP_S if elapsed_s > 0.0 else 0.0


def learn(learned: Learned, view: View, memory: Memory, now: datetime, dt_s: float, settings: Settings) -> Learned:
    """The house's figures, with this cycle's readings worked in."""
    load_w, now_w = learned.load_w, learned.load_now_w
    # A load that is switched off says nothing of what it would draw.
    if view.load_w is not None and FEEDS[memory.mode] is not Feed.NOTHING:
        # A step is never longer than LONGEST_STEP_S.
        load_w = view.load_w if load_w is None else load_w + (view.load_w - load_w) * (dt_s / LOAD_TIME_CONSTANT_S)
        now_w = view.load_w if now_w is None else now_w + (view.load_w - now_w) * min(1.0, dt_s / LOAD_NOW_TIME_CONSTANT_S)
    charge_w = learned.charge_w
    charging = memory.mode is Mode.GRID_AND_CHARGE and view.p2_on is True
    if charging and view.p2_w is not None and view.p2_w > CHARGING_W and view.soc_pct is not None and view.soc_pct < TAPER_FROM_PCT:
        before_w = charge_w if charge_w is not None else settings.battery.charge_w
        charge_w = before_w + (view.p2_w - before_w) * min(1.0, dt_s / CHARGE_TIME_CONSTANT_S)
    curve = charge_learning.followed(learned.curve, view, dt_s, charging=charging)
    profile, hour, hour_wh, spread = learned.pv_by_hour_wh, learned.pv_hour, learned.pv_hour_wh, learned.pv_spread_wh
    if view.p4_w is not None:
        local_hour = now.astimezone(settings.zone).hour
        if local_hour != hour:
            if hour is not None:
                spread = spread_after(spread, profile, hour, hour_wh)
                smoothed = profile[hour] + (hour_wh - profile[hour]) / PV_DAYS
                profile = (*profile[:hour], smoothed, *profile[hour + 1 :])
            hour, hour_wh = local_hour, 0.0
        hour_wh += view.p4_w * dt_s / 3600.0
    return Learned(load_w, now_w, charge_w, profile, hour, hour_wh, spread, curve)


def watch(memory: Memory, view: View, now: datetime, settings: Settings) -> Observer:
    """The observer, with this cycle's readings worked in. Of time that they cannot stand for nothing is known."""
    elapsed_s = (now - memory.at).total_seconds() if memory.at is not None else 0.0
    p2_w, p3_w, p4_w = view.p2_w, view.p3_w, view.p4_w if settings.panel else 0.0
    if settings.hardware.passthrough and view.p2_on is not False and p2_w is not None and p3_w is not None:
        # What passes through comes from the grid, and does not touch the cells.
        p2_w, p3_w = p2_w - p3_w, 0.0
    observer = memory.observer
    if elapsed_s > LONGEST_STEP_S:
        observer = update(observer, Inputs(None, None, None if settings.panel else 0.0, None, None), elapsed_s, settings.battery)
        elapsed_s = 0.0
    return update(observer, Inputs(p2_w, p3_w, p4_w, view.p2_on, view.output_on, view.soc_pct), elapsed_s, settings.battery)


def expected_pv_wh(learned: Learned, now: datetime, until: datetime, settings: Settings) -> float:
    """The PV energy to expect between `now` and `until` (at most a day), by the learnt profile."""
    left_s = min(max(0.0, (until - now).total_seconds()), 86400.0)
    local = now.astimezone(settings.zone)
    hour, into_s = local.hour, local.minute * 60.0 + local.second
    energy_wh = 0.0
    while left_s > 0.0:
        part_s = min(3600.0 - into_s, left_s)
        energy_wh += learned.pv_by_hour_wh[hour] * part_s / 3600.0
        left_s -= part_s
        hour, into_s = (hour + 1) % 24, 0.0
    return energy_wh


def count(interval: Interval, view: View, dt_s: float) -> Interval:
    """`interval` with this cycle's energy counted. Time without readings counts for nothing, neither met nor missed."""
    if dt_s <= 0.0 or view.load_w is None or view.p3_w is None or view.p1_w is None or view.p2_w is None:
        return interval
    hours = dt_s / 3600.0
    return Interval(
        interval.event_id,
        interval.start,
        interval.end,
        interval.even_w,
        interval.carry_wh,
        interval.elapsed_s + dt_s,
        interval.avoided_wh + (view.p3_w - view.p2_w) * hours,
        interval.import_wh + (view.p1_w + view.p2_w) * hours,
        interval.load_wh + view.load_w * hours,
        interval.worst_w,
        interval.operations,
        interval.goal,
        interval.earlier_wh,
        interval.earlier_s,
    )
