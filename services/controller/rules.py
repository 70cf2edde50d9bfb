"""What the guard must do at once, and what it objects to: one rule a reason code. Pure. docs/safety.md lists them in this order."""

from datetime import datetime, timedelta
from typing import NamedTuple

from services.controller import contradictions
from services.controller.model import Contradiction, Memory, Proposal, Settings
from services.controller.reasons import Reason
from services.controller.view import CARRYING_W, View
from services.core.modes import CHARGES, FEEDS, AtsPriority, Feed, Mode

OPEN_BELOW = 0.9
"""The load moves to the battery only below this share of the inverter's rating: motors start with a surge."""
ASTRAY_AFTER_S = 15.0
"""Real seconds a relay has to follow a command before it counts as astray: several polls and one retry."""
ALARMS = frozenset(
    {
        *(f"{relay}_{what}" for relay in ("p2", "p3") for what in ("unknown", "astray")),
        *("p2_stuck_open", "p3_stuck_closed", "p1_off_but_carries", "p2_off_but_carries", "p3_off_but_carries"),
        *("output_off_but_carries", "both_carry", "soc_doubtful"),
    }
)
"""Codes of what a person should look after."""
SHORTEST_PAUSE = timedelta(minutes=1)


class Urgent(NamedTuple):
    """What must be done at once."""

    mode: Mode
    reason: Reason
    pause_until: datetime | None = None
    """Until then the safe mode, whatever is proposed."""


def emergency(
    view: View, memory: Memory, now: datetime, astray_s: float | None, contradiction: Contradiction | None, settings: Settings
) -> Urgent | None:
    """What must be done at once, whatever was proposed."""
    board, commanded = settings.board, settings.board.possible(memory.mode)
    feed, transfer = FEEDS[commanded], board.transfer
    if view.grid_dark and view.p3_alive is True and view.p3_w is not None and view.p3_w > CARRYING_W:
        # The grid-side relays live off the grid: with it gone they are silent. Commands could only confuse the return.
        return Urgent(commanded, Reason("grid_outage"))
    astray_long = astray_s is not None and view.monotonic_s - astray_s >= ASTRAY_AFTER_S
    if feed is Feed.GRID and not astray_long and contradiction is None:
        return None
    pause = now + max(timedelta(seconds=settings.dwell_s), SHORTEST_PAUSE)
    if feed is Feed.GRID:
        if astray_long:
            return Urgent(
                _rescue(view, memory, settings), Reason(f"{transfer}_stuck_{'closed' if board.hardware.inverter_first else 'open'}")
            )
    else:
        if view.timer_fired or astray_long:
            return Urgent(board.safe_mode, Reason(f"{transfer}_astray", (pause,)), pause)
        if view.p3_alive is not True and board.relays[commanded].p3:
            return Urgent(board.safe_mode, Reason("p3_lost", ("silent" if view.p3_alive is None else "off", pause)), pause)
        if view.p3_w is not None and view.p3_w > settings.battery.inverter_w:
            return Urgent(board.safe_mode, Reason("over_inverter", (view.p3_w, settings.battery.inverter_w)), pause)
    if contradiction is not None and contradictions.stands(contradiction, view, settings):
        return Urgent(board.safe_mode, Reason(contradiction.code, (pause,)), pause)
    return None


def _rescue(view: View, memory: Memory, settings: Settings) -> Mode:
    """For a load that does not come back from the battery: the grid charges it, so that it lasts, if the circuit can bear that."""
    bearable = (view.p1_w or 0.0) + _charge_w(memory, settings) <= settings.circuit_limit_w
    return Mode.GRID_AND_CHARGE if bearable and Mode.GRID_AND_CHARGE in settings.allowed else settings.board.safe_mode


def hurries(view: View, memory: Memory, *, low: bool, lowest: float, settings: Settings) -> bool:
    """Whether the load, off the grid, may not stay there until a dwell has passed: whatever the proposal, it returns at once.

    So it is when the battery must not go on, or nothing proves that the load still has a source, or that its relay obeys. That a mode is
    impossible, or that a charge may not go on, is no such cause.
    """
    feed = FEEDS[memory.mode]
    if feed is Feed.GRID:
        return False
    return view.transfer_on is None or (
        feed is Feed.BATTERY and _to_discharging(view, memory, low=low, lowest=lowest, settings=settings) is not None
    )


def objection(proposal: Proposal, mode: Mode, view: View, memory: Memory, *, low: bool, lowest: float, settings: Settings) -> Reason | None:
    """Why `mode` may not be commanded now, dwell or not. `mode` is the proposal's, as this hardware can do it."""
    board = settings.board
    if mode is board.safe_mode:
        # A phase that rests because the battery is low knows nothing of whom that was believed from.
        return _doubt(view, lowest) if proposal.reason.code == "lowest_reached" else None
    feed = FEEDS[mode]
    if mode not in settings.allowed:
        unmeasured = board.hardware.ats_priority is AtsPriority.UNKNOWN and not board.hardware.p1_inside
        return Reason("ats_unknown") if unmeasured and feed is Feed.BATTERY else Reason("mode_impossible", (int(mode),))
    if feed is not Feed.GRID and view.transfer_on is None:
        return Reason(f"{board.transfer.value}_unknown")
    if feed is Feed.BATTERY and (found := _to_discharging(view, memory, low=low, lowest=lowest, settings=settings)) is not None:
        return found
    leaves = feed is not Feed.GRID and FEEDS[memory.mode] is Feed.GRID
    if leaves and (found := _to_leaving_the_grid(view, needs_p3=feed is Feed.BATTERY, settings=settings)) is not None:
        return found
    return _to_charging(mode, view, memory, settings, blind=proposal.blind) if mode in CHARGES else None


def _to_discharging(view: View, memory: Memory, *, low: bool, lowest: float, settings: Settings) -> Reason | None:
    # So the way from a mode with P3 off to the battery leads over the safe mode: there P3 closes, or, with inverter priority, the load
    # is seen again before P3 takes it.
    open_ = FEEDS[memory.mode] is Feed.NOTHING if settings.hardware.inverter_first else view.p3_on is not True
    if settings.hardware.p3_actuator and open_:
        return Reason("p3_not_closed")
    if view.soc_pct is None:
        return Reason("soc_unknown")
    if not low:
        return None
    reached = Reason("reserve_reached" if lowest > settings.battery.floor_pct else "lowest_reached", (view.soc_pct, lowest))
    return _doubt(view, lowest) or reached


def _doubt(view: View, lowest: float) -> Reason | None:
    """That the battery counts as low against the power station's own word."""
    if view.doubted_pct is None or view.soc_pct is None or view.doubted_pct <= lowest:
        return None
    return Reason("soc_doubtful", (view.doubted_pct, view.soc_pct, lowest))


def _to_leaving_the_grid(view: View, *, needs_p3: bool, settings: Settings) -> Reason | None:
    if settings.deadman_proof and view.deadman_proved is False:
        transfer = settings.board.transfer.value
        return Reason("deadman_unproved" if transfer == "p1" else f"{transfer}_deadman_unproved")
    if needs_p3 and view.p3_alive is not True:
        return Reason("p3_not_alive")
    if view.load_w is None:
        return Reason("load_unknown")
    if view.load_w > OPEN_BELOW * settings.battery.inverter_w:
        return Reason("over_inverter", (view.load_w, OPEN_BELOW * settings.battery.inverter_w))
    if settings.transfer_limit_w is not None and view.load_w > settings.transfer_limit_w:
        return Reason("over_transfer", (view.load_w, settings.transfer_limit_w))
    return None


def _to_charging(mode: Mode, view: View, memory: Memory, settings: Settings, *, blind: bool) -> Reason | None:
    if view.soc_pct is None and not blind:
        return Reason("soc_unknown")
    grid_w = _grid_w(mode, view, memory)
    if grid_w is None or view.p2_w is None:
        return Reason("load_unknown")
    if view.p2_on is None:
        return Reason("p2_unknown")
    charging = settings.board.relays[memory.mode].p2 and view.p2_on is True and view.p2_w > CARRYING_W
    expected_w = grid_w + (view.p2_w if charging else _charge_w(memory, settings))
    if expected_w > settings.circuit_limit_w:
        return Reason("over_circuit", (expected_w, settings.circuit_limit_w))
    return None


def _grid_w(mode: Mode, view: View, memory: Memory) -> float | None:
    """What to expect at P1 in `mode`. A load that is about to leave counts in full: P2 may close before P1 has opened."""
    if FEEDS[memory.mode] is Feed.GRID or FEEDS[mode] is not Feed.GRID:
        return view.p1_w
    if view.load_w is None:
        return None
    # It comes back with the charge; where it was switched off, as it was before.
    return max(view.load_w, (memory.learned.load_now_w or 0.0) if FEEDS[memory.mode] is Feed.NOTHING else 0.0)


def _charge_w(memory: Memory, settings: Settings) -> float:
    """The power of a charge that begins."""
    return max(settings.battery.charge_w, memory.learned.charge_w or 0.0)
