"""Phase normal: ease back after an event, then the person's policy, which nothing may charge against their hours. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

from services.controller import calibration, recharge, waking
from services.controller.model import Memory, Proposal, Settings, Snapshot
from services.controller.policies import cycle, self_consumption, standby, time_of_use
from services.controller.reasons import Reason
from services.controller.view import View
from services.core.config.policy import NormalPolicy
from services.core.modes import CHARGES, SAFE_MODE, Mode

_POLICIES: Mapping[NormalPolicy, Callable[[float, Snapshot, Memory, datetime, float, Settings], Proposal]] = {
    NormalPolicy.CYCLE: cycle.propose,
    NormalPolicy.SELF_CONSUMPTION: self_consumption.propose,
    NormalPolicy.TIME_OF_USE: time_of_use.propose,
    NormalPolicy.STANDBY: standby.propose,
}


def propose(snapshot: Snapshot, view: View, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    """What the station wants on a day without an event."""
    if memory.ease_until is not None and now < memory.ease_until and memory.mode is Mode.BATTERY:
        return Proposal(Mode.BATTERY, Reason("easing_back", (memory.ease_until - now,)), next_change=memory.ease_until)
    wanted = _wanted(snapshot, view, memory, now, lowest_pct, settings)
    if wanted.mode not in CHARGES:
        return wanted
    return _unless_forbidden(wanted, snapshot, view, memory, now, settings)


def _wanted(snapshot: Snapshot, view: View, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    if memory.ease_until is None and _may_calibrate(now, settings):
        charge = calibration.propose(memory.observer, now, settings)
        if charge is not None:
            return charge
    if (charge := waking.propose(view, memory, now, settings)) is not None:
        return charge
    if view.soc_pct is None:
        return Proposal(SAFE_MODE, Reason("soc_unknown"))
    return _POLICIES[settings.cycle.policy](view.soc_pct, snapshot, memory, now, lowest_pct, settings)


def _may_calibrate(now: datetime, settings: Settings) -> bool:
    """Whether a full charge would not go against the policy's own hours."""
    if settings.data_link:
        return False
    if settings.cycle.policy is NormalPolicy.CYCLE:
        return not cycle.discharging(now, settings)
    return settings.cycle.policy is not NormalPolicy.TIME_OF_USE or time_of_use.cheapest_now(now, settings)


def _unless_forbidden(wanted: Proposal, snapshot: Snapshot, view: View, memory: Memory, now: datetime, settings: Settings) -> Proposal:
    """The charge `wanted`, unless it is no hour for it."""
    quiet = snapshot.preferences.quiet_hours
    if quiet is not None and quiet.holds(now, settings.zone):
        return Proposal(SAFE_MODE, Reason("quiet_hours", (str(quiet),)))
    if memory.ease_until is not None or memory.recharge.rest_until is not None:
        eased = memory.ease_until
        rested = eased + settings.control.recharge_after if eased is not None else memory.recharge.rest_until or now
        return Proposal(SAFE_MODE, Reason("resting_after_event", (view.soc_pct or 0.0, rested)), next_change=rested)
    if snapshot.busy and any(span.begin_s <= now.timestamp() < span.end_s for span in snapshot.busy):
        return Proposal(SAFE_MODE, Reason("other_event"))
    if memory.recharge.slow_until is not None and not recharge.has_room(memory, view, now, settings):
        return Proposal(SAFE_MODE, Reason("slow_recharge", (recharge.peak_w(memory.recharge) or 0.0,)))
    return wanted
