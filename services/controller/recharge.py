"""After an event the battery is charged so slowly that no settlement interval rises above the week's highest. Pure.

The charger's power cannot be set, so it runs at the end of each interval, for as long as the interval's mean has room: by then
most of the interval's load is known. Where the load rises meanwhile the charge ends sooner.
"""

from datetime import datetime, timedelta

from services.controller.model import Memory, Recharge, Settings, Snapshot
from services.controller.policies.common import RESUME_PCT
from services.controller.view import View

LONGEST = timedelta(hours=24)
"""A load that leaves no room below its own peak must not keep the battery empty for ever."""
BEGIN_BELOW, GO_ON_BELOW = 0.95, 0.99
"""Of the peak: a charge begins with some room left, so that a refrigerator that starts meanwhile need not end it."""
SHORTEST_S = 300.0
"""A shorter charge is not worth a switching."""
KNOWN = 0.9
"""An interval counts if so much of it was metered."""


def follow(memory: Memory, snapshot: Snapshot, view: View, now: datetime, dt_s: float, settings: Settings) -> Recharge:
    """The intervals' mean imports with this cycle's worked in, and whether an event has just ended."""
    recharge = memory.recharge
    interval_s = settings.interval.total_seconds()
    now_s = now.timestamp()
    slot, day = int(now_s // interval_s), int(now_s // 86400.0)
    import_wh, known_s, peaks_w = recharge.import_wh, recharge.known_s, recharge.peaks_w
    if slot != recharge.slot:
        if known_s >= KNOWN * interval_s:
            peaks_w = (max(peaks_w[0], import_wh * 3600.0 / known_s), *peaks_w[1:])
        import_wh = known_s = 0.0
    if day != recharge.day:
        peaks_w = (0.0, *peaks_w[:-1])
    if view.import_w is not None:
        import_wh += view.import_w * dt_s / 3600.0
        known_s += dt_s
    slow_until, rest_until, interval, event = recharge.slow_until, recharge.rest_until, memory.interval, snapshot.event
    if interval is not None and (event is None or event.id != interval.event_id):
        # Whoever leaves an event in its middle must not draw more from the grid in its hours than without it.
        slow_until, rest_until = now + LONGEST, now + settings.control.recharge_after
    elif slow_until is not None and (now >= slow_until or (view.soc_pct or 0.0) >= settings.cycle.charge_to_pct - RESUME_PCT):
        slow_until = None
    if rest_until is not None and now >= rest_until:
        rest_until = None
    return Recharge(slot, import_wh, known_s, day, peaks_w, slow_until, rest_until)


def peak_w(recharge: Recharge) -> float | None:
    """The mean import that no interval may rise above now; None while any may."""
    if recharge.slow_until is None:
        return None
    return max(recharge.peaks_w) or None


def has_room(memory: Memory, view: View, now: datetime, settings: Settings) -> bool:
    """Whether charging from now to the interval's end keeps its mean import below the peak."""
    recharge = memory.recharge
    bound_w = peak_w(recharge)
    if bound_w is None or not settings.control.slow_recharge:
        return True
    interval_s = settings.interval.total_seconds()
    rest_s = (recharge.slot + 1) * interval_s - now.timestamp()
    if not memory.charging and rest_s < SHORTEST_S:
        return False
    load_w = memory.learned.load_w if memory.learned.load_w is not None else view.load_w or 0.0
    charge_w = memory.learned.charge_w or settings.battery.charge_w
    bound_ws = (GO_ON_BELOW if memory.charging else BEGIN_BELOW) * bound_w * interval_s
    return recharge.import_wh * 3600.0 + (load_w + charge_w) * rest_s <= bound_ws
