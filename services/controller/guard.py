"""The guard that every decision passes: the rules of design section 5 that this hardware needs. Pure.

A proposal goes through three gates in turn: what must happen at once whatever was proposed (`emergency`), what
forbids the proposal (`objection`), and what asks it to wait (`patience`). When in doubt, mode 2.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.controller.model import Memory, Proposal, Settings, Suspension, Switching
from services.controller.reasons import Reason
from services.controller.view import CARRYING_W, View
from services.core.modes import RELAYS, SAFE_MODE, Mode

OPEN_BELOW = 0.9
"""P1 opens only while the load is below this share of the inverter's rating: motors start with a surge."""
LOW_HYSTERESIS_PCT = 2.0
"""After the lowest state of charge was reached, discharge resumes so much above it."""
ASTRAY_AFTER_S = 15.0
"""Real seconds a relay has to follow a command before it counts as astray: several polls and one retry."""
SHORTEST_PAUSE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard lets pass, and what it wants remembered."""

    mode: Mode
    reason: Reason
    suspension: Suspension | None
    low: bool
    p1_astray_since_s: float | None


def lowest_pct(reserve_pct: float, settings: Settings) -> float:
    """The state of charge below which nothing is discharged: the floor or the person's backup reserve."""
    return max(settings.battery.floor_pct, reserve_pct)


def check(proposal: Proposal, view: View, memory: Memory, now: datetime, lowest: float, settings: Settings) -> Verdict:
    """The mode that may be commanded now."""
    astray_s = _astray_since(view, memory)
    low = view.soc_pct is not None and (view.soc_pct <= lowest or (memory.low and view.soc_pct < lowest + LOW_HYSTERESIS_PCT))
    suspension = memory.suspension if memory.suspension is not None and now < memory.suspension.until else None
    verdict = Verdict(proposal.mode, proposal.reason, suspension, low, astray_s)

    if (urgent := _emergency(view, memory, now, astray_s, settings)) is not None:
        mode, reason, pause = urgent
        if pause is not None:
            suspension = Suspension(pause, reason)
        return replace(verdict, mode=mode, reason=reason, suspension=suspension)
    if suspension is not None and proposal.mode is not SAFE_MODE:
        return replace(verdict, mode=SAFE_MODE, reason=suspension.why)
    if (objection := _objection(proposal, view, memory, low=low, lowest=lowest, settings=settings)) is not None:
        return replace(verdict, mode=SAFE_MODE, reason=objection)
    return _patience(verdict, view, memory, now, settings)


def _astray_since(view: View, memory: Memory) -> float | None:
    """Since when (real seconds) P1 is read back in another state than commanded."""
    if view.p1_on is None or view.p1_on == RELAYS[memory.mode].p1:
        return None
    return view.monotonic_s if memory.p1_astray_since_s is None else min(memory.p1_astray_since_s, view.monotonic_s)


def _emergency(
    view: View, memory: Memory, now: datetime, astray_s: float | None, settings: Settings
) -> tuple[Mode, Reason, datetime | None] | None:
    """What must be done at once, with the time until which the event pauses."""
    open_now = not RELAYS[memory.mode].p1
    carrying = view.p3_alive is True and view.p3_w is not None and view.p3_w > CARRYING_W
    if view.grid_dark and carrying:
        # The grid-side relays live off the grid: with it gone they are silent. Commands could only confuse the return.
        return memory.mode, Reason("grid_outage"), None
    pause = now + max(timedelta(seconds=settings.dwell_s), SHORTEST_PAUSE)
    astray_long = astray_s is not None and view.monotonic_s - astray_s >= ASTRAY_AFTER_S
    if not open_now and astray_long:
        mode = Mode.GRID_AND_CHARGE if Mode.GRID_AND_CHARGE in settings.allowed else SAFE_MODE
        return mode, Reason("p1_stuck_open"), None
    if not open_now:
        return None
    if view.p1_timer_fired or astray_long:
        return SAFE_MODE, Reason("p1_astray", (pause,)), pause
    if view.p3_alive is not True and RELAYS[memory.mode].p3:
        return SAFE_MODE, Reason("p3_lost", ("silent" if view.p3_alive is None else "off", pause)), pause
    if view.p3_w is not None and view.p3_w > settings.battery.inverter_w:
        return SAFE_MODE, Reason("over_inverter", (view.p3_w, settings.battery.inverter_w)), pause
    return None


def _objection(proposal: Proposal, view: View, memory: Memory, *, low: bool, lowest: float, settings: Settings) -> Reason | None:
    """Why the mode may not be commanded now, whatever the dwell says."""
    mode = proposal.mode
    if mode is SAFE_MODE:
        return None
    if mode not in settings.allowed:
        return Reason("mode_impossible", (int(mode),))
    wanted = RELAYS[mode]
    if not wanted.p1 and view.p1_on is None:
        return Reason("p1_unknown")
    if not wanted.p1 and wanted.p3:
        if settings.hardware.p3_actuator and view.p3_on is not True:
            # So the way from a mode with P3 off to the battery leads over mode 2, in which P3 closes.
            return Reason("p3_not_closed")
        if view.soc_pct is None:
            return Reason("soc_unknown")
        if low:
            return Reason("lowest_reached", (view.soc_pct, lowest))
    if not wanted.p1 and RELAYS[memory.mode].p1:
        return _objection_to_opening(view, needs_p3=bool(wanted.p3), settings=settings)
    if wanted.p2:
        return _objection_to_charging(view, memory, settings, blind=proposal.blind)
    return None


def _objection_to_opening(view: View, *, needs_p3: bool, settings: Settings) -> Reason | None:
    if settings.deadman_proof and view.p1_deadman_proved is False:
        return Reason("deadman_unproved")
    if needs_p3 and view.p3_alive is not True:
        return Reason("p3_not_alive")
    if view.load_w is None:
        return Reason("load_unknown")
    if view.load_w > OPEN_BELOW * settings.battery.inverter_w:
        return Reason("over_inverter", (view.load_w, OPEN_BELOW * settings.battery.inverter_w))
    return None


def _objection_to_charging(view: View, memory: Memory, settings: Settings, *, blind: bool) -> Reason | None:
    if view.soc_pct is None and not blind:
        return Reason("soc_unknown")
    if view.p1_w is None or view.p2_w is None:
        return Reason("load_unknown")
    charging = RELAYS[memory.mode].p2 and view.p2_on is True and view.p2_w > CARRYING_W
    expected_w = view.p1_w + (view.p2_w if charging else max(settings.battery.charge_w, memory.learned.charge_w or 0.0))
    if expected_w > settings.circuit_limit_w:
        return Reason("over_circuit", (expected_w, settings.circuit_limit_w))
    return None


def _patience(verdict: Verdict, view: View, memory: Memory, now: datetime, settings: Settings) -> Verdict:
    """Hold a proposal back until the relays' dwell has passed; refuse it above the day's cap or the transfer limit."""
    before, wanted, switching = RELAYS[memory.mode], RELAYS[verdict.mode], memory.switching
    p1_changes, p2_changes = wanted.p1 != before.p1, wanted.p2 != before.p2
    if p1_changes and settings.transfer_limit_w is not None and view.load_w is not None and view.load_w > settings.transfer_limit_w:
        return replace(verdict, mode=memory.mode, reason=Reason("over_transfer", (view.load_w, settings.transfer_limit_w)))
    # Only leaving the safe state counts against the cap: the way back to it must always be free.
    for opens, count in ((p1_changes and not wanted.p1, switching.p1_today), (p2_changes and wanted.p2, switching.p2_today)):
        if opens and count + 2 > settings.switchings_per_day and switching.day == now.astimezone(settings.zone).date():
            return replace(verdict, mode=SAFE_MODE, reason=Reason("switching_cap", (count, settings.switchings_per_day)))
    wait = max(
        _dwell_left(switching.p1_at, now, settings) if p1_changes else timedelta(0),
        # Stopping a charge is always free: it is the way to the safe state, and no load moves with it.
        _dwell_left(switching.p2_at, now, settings) if p2_changes and wanted.p2 else timedelta(0),
    )
    if wait > timedelta(0):
        # No dwell holds the load on a battery that is at its lowest, or of which nothing is known.
        hold = Mode.GRID if before.p1 or verdict.low or view.soc_pct is None else memory.mode
        return replace(verdict, mode=hold, reason=Reason("dwell", (verdict.reason, wait)))
    return verdict


def _dwell_left(switched_at: datetime | None, now: datetime, settings: Settings) -> timedelta:
    # A clock that stepped back would otherwise hold the relay for as long as the step.
    if switched_at is None or switched_at > now:
        return timedelta(0)
    return timedelta(seconds=settings.dwell_s) - (now - switched_at)


def switched(switching: Switching, before: Mode, after: Mode, now: datetime, settings: Settings) -> Switching:
    """The switching record after the commanded mode went from `before` to `after`."""
    p1, p2 = RELAYS[before].p1 != RELAYS[after].p1, RELAYS[before].p2 != RELAYS[after].p2
    if not p1 and not p2:
        return switching
    day = now.astimezone(settings.zone).date()
    fresh = switching.day != day
    return Switching(
        p1_at=now if p1 else switching.p1_at,
        p2_at=now if p2 else switching.p2_at,
        day=day,
        p1_today=(0 if fresh else switching.p1_today) + p1,
        p2_today=(0 if fresh else switching.p2_today) + p2,
    )
