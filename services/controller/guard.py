"""The guard that every decision passes: the rules of design section 5. Pure. docs/safety.md lists them in this order.

A proposal goes through four gates in turn: what must happen at once whatever was proposed (`rules.emergency`), a pause after
something of that kind, what forbids the proposal (`rules.objection`), and what asks it, or the safe mode in its place, to wait
(`_patience`). When in doubt, the station's safe mode: the load on the grid, and nothing charging where that is possible.
"""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from services.controller import contradictions, rules
from services.controller.model import Contradiction, Memory, Proposal, Settings, Suspension, Switching
from services.controller.reasons import Reason
from services.controller.view import View
from services.core.modes import CHARGES, FEEDS, Feed, Mode
from services.core.positions import Position

LOW_HYSTERESIS_PCT = 2.0
"""After the lowest state of charge was reached, discharge resumes so much above it."""
SELDOM_S = 900.0
"""Least station seconds between two transfers of a load with a motor, whose limit is `transfer_limit_w`. Assumed: a compressor that
stopped needs some minutes before it can start against its own pressure."""


class Verdict(NamedTuple):
    """What the guard lets pass, and what it wants remembered."""

    mode: Mode
    reason: Reason
    suspension: Suspension | None
    low: bool
    p1_astray_since_s: float | None
    contradiction: Contradiction | None = None


def lowest_pct(reserve_pct: float, settings: Settings) -> float:
    """The state of charge below which nothing is discharged: the floor or the person's backup reserve."""
    return max(settings.battery.floor_pct, reserve_pct)


def check(proposal: Proposal, view: View, memory: Memory, now: datetime, lowest: float, settings: Settings) -> Verdict:
    """The mode that may be commanded now."""
    board = settings.board
    astray_s = _astray_since(view, memory, settings)
    contradiction = contradictions.seen(view, memory, settings)
    low = view.soc_pct is not None and (view.soc_pct <= lowest or (memory.low and view.soc_pct < lowest + LOW_HYSTERESIS_PCT))
    suspension = memory.suspension if memory.suspension is not None and now < memory.suspension.until else None
    mode = board.possible(proposal.mode)
    verdict = Verdict(mode, proposal.reason, suspension, low, astray_s, contradiction)

    if (urgent := rules.emergency(view, memory, now, astray_s, contradiction, settings)) is not None:
        if urgent.pause_until is not None:
            suspension = Suspension(urgent.pause_until, urgent.reason)
        return verdict._replace(mode=urgent.mode, reason=urgent.reason, suspension=suspension)
    if suspension is not None and mode is not board.safe_mode:
        return verdict._replace(mode=board.safe_mode, reason=suspension.why)
    objection = rules.objection(proposal, mode, view, memory, low=low, lowest=lowest, settings=settings)
    if objection is not None:
        verdict = verdict._replace(mode=board.safe_mode, reason=objection)
    if verdict.mode is memory.mode:
        return verdict
    hurried = rules.hurries(view, memory, low=low, lowest=lowest, settings=settings)
    return _patience(verdict, view, memory, now, settings, hurried=hurried)


def _astray_since(view: View, memory: Memory, settings: Settings) -> float | None:
    """Since when (real seconds) the relay that moves the load is read back in another state than commanded."""
    board = settings.board
    if view.transfer_on is None or view.transfer_on == board.relays[board.possible(memory.mode)].at(board.transfer):
        return None
    return view.monotonic_s if memory.p1_astray_since_s is None else min(memory.p1_astray_since_s, view.monotonic_s)


def _patience(verdict: Verdict, view: View, memory: Memory, now: datetime, settings: Settings, *, hurried: bool) -> Verdict:
    """Hold a verdict back until the relays' dwell has passed, or a motor's load has fallen; refuse it above the day's cap.

    `hurried`: the load may not stay where it is. Then neither dwell nor motor keeps it from the grid.
    """
    if verdict.mode is memory.mode:
        return verdict
    board, switching, limit_w = settings.board, memory.switching, settings.transfer_limit_w
    moves, leaves = FEEDS[verdict.mode] is not FEEDS[memory.mode], FEEDS[verdict.mode] is not Feed.GRID
    charges = _charge_begins(memory.mode, verdict.mode, settings)
    held = board.safe_mode if hurried or FEEDS[memory.mode] is Feed.GRID else _held(memory.mode, verdict.mode, settings)
    if hurried and not leaves:
        moves = False
    if moves and not leaves and limit_w is not None and view.load_w is not None and view.load_w > limit_w:
        return verdict._replace(mode=held, reason=Reason("over_transfer", (view.load_w, limit_w)))
    # Only leaving the safe state counts against the cap: the way back to it must always be free.
    for away, count in ((moves and leaves, switching.p1_today), (charges, switching.p2_today)):
        if away and count + 2 > settings.switchings_per_day and _counts(switching, now.astimezone(settings.zone).date()):
            capped = verdict._replace(mode=board.safe_mode, reason=Reason("switching_cap", (count, settings.switchings_per_day)))
            return _patience(capped, view, memory, now, settings, hurried=hurried)
    wait = max(
        _dwell_left(switching.p1_at, now, settings.dwell_s if limit_w is None else max(settings.dwell_s, SELDOM_S))
        if moves
        else timedelta(0),
        # Stopping a charge is always free: it is the way to the safe state, and no load moves with it.
        _dwell_left(switching.p2_at, now, settings.dwell_s) if charges else timedelta(0),
    )
    return verdict if wait <= timedelta(0) else verdict._replace(mode=held, reason=Reason("dwell", (verdict.reason, wait)))


def _held(mode: Mode, wanted: Mode, settings: Settings) -> Mode:
    """Where a load that is off the grid in `mode` waits for `wanted`: where it is. A charge that is no longer wanted does not wait."""
    if wanted in CHARGES or settings.board.transfer is Position.P2:
        return mode
    return {Mode.BATTERY_AND_CHARGE: Mode.BATTERY, Mode.CHARGE_ONLY: Mode.ALL_OFF}.get(mode, mode)


def _charge_begins(before: Mode, after: Mode, settings: Settings) -> bool:
    """Whether the relay at P2 leaves its safe state so that a charge begins. Where P2 moves the load, it is the load that counts."""
    relays, board = settings.board.relays, settings.board
    return board.transfer is not Position.P2 and relays[after].p2 is True and relays[before].p2 is False


def _counts(switching: Switching, day: date) -> bool:
    """Whether what was counted stands for `day`: also for the day before, to which a clock that is set back over midnight returns."""
    return switching.day is not None and timedelta(0) <= switching.day - day <= timedelta(days=1)


def _dwell_left(switched_at: datetime | None, now: datetime, dwell_s: float) -> timedelta:
    # A clock that stepped back would otherwise hold the relay for as long as the step.
    if switched_at is None or switched_at > now:
        return timedelta(0)
    return timedelta(seconds=dwell_s) - (now - switched_at)


def switched(switching: Switching, before: Mode, after: Mode, now: datetime, settings: Settings) -> Switching:
    """The switching record after the commanded mode went from `before` to `after`. A move of the load is a transfer of the ATS, too."""
    relays = settings.board.relays
    load, charge = FEEDS[before] is not FEEDS[after], relays[before].p2 != relays[after].p2
    if not load and not charge:
        return switching
    day = now.astimezone(settings.zone).date()
    fresh = not _counts(switching, day)
    return Switching(
        p1_at=now if load else switching.p1_at,
        p2_at=now if charge else switching.p2_at,
        day=day if fresh else switching.day,
        p1_today=(0 if fresh else switching.p1_today) + load,
        p2_today=(0 if fresh else switching.p2_today) + charge,
    )
