"""Policy `cycle`: from the grid up to one set point, and down to another into the load, at two times of the day. Pure."""

from datetime import datetime

from services.controller.model import Memory, Proposal, Settings, Snapshot
from services.controller.policies.common import RESUME_PCT, rest, sun
from services.controller.reasons import Reason
from services.core.modes import SAFE_MODE, Mode
from services.core.schedule import next_local, within


def discharging(now: datetime, settings: Settings) -> bool:
    """Whether it is time to discharge."""
    return within(now.astimezone(settings.zone).time(), settings.cycle.discharge_at, settings.cycle.charge_at)


def propose(soc_pct: float, snapshot: Snapshot, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    """What the daily cycle wants now."""
    if discharging(now, settings):
        return _discharge(soc_pct, memory, now, lowest_pct, settings)
    return _charge(soc_pct, snapshot, memory, now, lowest_pct, settings)


def _discharge(soc_pct: float, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    down_to_pct = max(settings.cycle.discharge_to_pct, lowest_pct)
    margin_pct = 0.0 if memory.mode is Mode.BATTERY else RESUME_PCT
    until = next_local(now, settings.cycle.charge_at, settings.zone)
    if soc_pct > down_to_pct + margin_pct:
        return Proposal(Mode.BATTERY, Reason("daily_discharge", (soc_pct, down_to_pct)), next_change=until)
    return rest(soc_pct, until)


def _charge(soc_pct: float, snapshot: Snapshot, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    until = next_local(now, settings.cycle.discharge_at, settings.zone)
    if memory.ease_until is not None:
        rested = memory.ease_until + settings.control.recharge_after
        return Proposal(SAFE_MODE, Reason("resting_after_event", (soc_pct, rested)), next_change=rested)
    margin_pct = 0.0 if memory.charging else RESUME_PCT
    if soc_pct >= settings.cycle.charge_to_pct - margin_pct and soc_pct >= lowest_pct:
        # Whatever the sun will bring: there is nothing to charge.
        return rest(soc_pct, until)
    sun_wh = sun(snapshot, memory, now, until, settings).wh * settings.battery.charge_efficiency
    up_to_pct = max(settings.cycle.charge_to_pct - 100.0 * sun_wh / settings.battery.capacity_wh, lowest_pct)
    if soc_pct >= up_to_pct - margin_pct:
        return rest(soc_pct, until)
    if sun_wh >= 1.0:
        return Proposal(Mode.GRID_AND_CHARGE, Reason("daily_charge_pv", (soc_pct, up_to_pct, sun_wh)), next_change=until)
    return Proposal(Mode.GRID_AND_CHARGE, Reason("daily_charge", (soc_pct, up_to_pct)), next_change=until)
