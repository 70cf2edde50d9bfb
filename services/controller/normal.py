"""Phase normal: ease back after an event, and the daily cycle between its set points. Pure."""

from datetime import datetime, time

from services.controller import calibration, waking
from services.controller.model import Memory, Proposal, Settings
from services.controller.observe import expected_pv_wh
from services.controller.reasons import Reason
from services.controller.view import View
from services.core.modes import SAFE_MODE, Mode
from services.core.schedule import next_local, within

RESUME_PCT = 5.0
"""Hysteresis: discharge or charge begins only when there is so much to do."""


def propose(view: View, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    """What the daily cycle wants now."""
    if memory.ease_until is not None and now < memory.ease_until and memory.mode is Mode.BATTERY:
        return Proposal(Mode.BATTERY, Reason("easing_back", (memory.ease_until - now,)), next_change=memory.ease_until)
    cycle, local = settings.cycle, now.astimezone(settings.zone).time()
    discharging = within(local, cycle.discharge_at, cycle.charge_at)
    if not discharging and memory.ease_until is None and (charge := calibration.propose(memory.observer, now, settings)) is not None:
        return charge
    if (charge := waking.propose(view, memory, now, settings)) is not None:
        return charge
    if view.soc_pct is None:
        return Proposal(SAFE_MODE, Reason("soc_unknown"))
    if discharging:
        return _discharge(view.soc_pct, memory, now, lowest_pct, settings)
    return _charge(view.soc_pct, memory, now, lowest_pct, settings)


def _discharge(soc_pct: float, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    down_to_pct = max(settings.cycle.discharge_to_pct, lowest_pct)
    margin_pct = 0.0 if memory.mode is Mode.BATTERY else RESUME_PCT
    until = _next(now, settings.cycle.charge_at, settings)
    if soc_pct > down_to_pct + margin_pct:
        return Proposal(Mode.BATTERY, Reason("daily_discharge", (soc_pct, down_to_pct)), next_change=until)
    return Proposal(SAFE_MODE, Reason("resting", (soc_pct,)), next_change=until)


def _charge(soc_pct: float, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    until = _next(now, settings.cycle.discharge_at, settings)
    if memory.ease_until is not None:
        rested = memory.ease_until + settings.control.recharge_after
        return Proposal(SAFE_MODE, Reason("resting_after_event", (soc_pct, rested)), next_change=rested)
    sun_wh = expected_pv_wh(memory.learned, now, until, settings) * settings.battery.charge_efficiency
    up_to_pct = max(settings.cycle.charge_to_pct - 100.0 * sun_wh / settings.battery.capacity_wh, lowest_pct)
    if soc_pct >= up_to_pct - (0.0 if memory.charging else RESUME_PCT):
        return Proposal(SAFE_MODE, Reason("resting", (soc_pct,)), next_change=until)
    if sun_wh >= 1.0:
        return Proposal(Mode.GRID_AND_CHARGE, Reason("daily_charge_pv", (soc_pct, up_to_pct, sun_wh)), next_change=until)
    return Proposal(Mode.GRID_AND_CHARGE, Reason("daily_charge", (soc_pct, up_to_pct)), next_change=until)


def _next(now: datetime, at: time, settings: Settings) -> datetime:
    return next_local(now, at, settings.zone)
