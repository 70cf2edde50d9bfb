"""Stations that cannot rest: with P1 inside the power station, the load on the grid means that the battery charges. Pure.

Then the blocks that an event is laid out in elsewhere would each be followed by a recharge from the grid, in the middle of the event.
So here an event is one block, which begins as soon as the battery lasts to the event's end: a full one can wait, for there is nothing
to charge. And there is no daily cycle: the battery is kept full, for events and outages.
"""

from datetime import datetime, timedelta

from services.controller.model import Memory, Proposal, Settings
from services.controller.reasons import Reason
from services.controller.view import View
from services.core.battery import flexible_wh
from services.core.events import Event, EventStatus
from services.core.modes import FEEDS, Feed, Mode

FULL_PCT = 98.0
"""From here on a charger takes next to nothing."""
_HOLDS = frozenset({"manual", "easing_back"})
"""Reasons to be on the battery that are not the daily cycle's: what that takes out, the grid would put back at once."""


def adapted(
    proposal: Proposal, event: Event | None, view: View, memory: Memory, now: datetime, lowest: float, settings: Settings
) -> Proposal:
    """`proposal` as such a station can follow it; unchanged for all other stations."""
    if not settings.board.rests_charging:
        return proposal
    # An event's proposal with a goal is about how much of it to hold; one without says that nothing can be held.
    if event is not None and event.status is EventStatus.ONGOING and proposal.goal_w is not None and view.soc_pct is not None:
        return _one_block(proposal, event, view.soc_pct, memory, now, lowest, settings)
    if event is None and proposal.mode is Mode.BATTERY and proposal.reason.code not in _HOLDS:
        return Proposal(Mode.GRID, Reason("no_cycle"))
    if proposal.mode is Mode.GRID and view.soc_pct is not None and view.soc_pct < FULL_PCT:
        return proposal._replace(reason=Reason("rests_charging", (proposal.reason,)))
    return proposal


def _one_block(
    proposal: Proposal, event: Event, soc_pct: float, memory: Memory, now: datetime, lowest: float, settings: Settings
) -> Proposal:
    left = event.end - now
    if FEEDS[memory.mode] is Feed.BATTERY:
        return proposal._replace(mode=Mode.BATTERY, reason=Reason("one_block", (soc_pct, left)))
    load_w = memory.learned.load_w or 0.0
    drawn_w = load_w + settings.battery.discharge_efficiency * settings.battery.idle_w
    lasts = timedelta(hours=flexible_wh(settings.battery, soc_pct, lowest) / max(1.0, drawn_w)) if soc_pct > lowest else timedelta(0)
    begins = event.end - lasts
    if lasts >= left:
        return proposal._replace(mode=Mode.BATTERY, reason=Reason("one_block", (soc_pct, left)))
    # Not full, it is charged meanwhile; to begin now would only mean a longer recharge before the event is over.
    code = "waits_full" if soc_pct >= FULL_PCT else "waits_charging"
    return Proposal(Mode.GRID, Reason(code, (soc_pct, lasts, begins)), proposal.goal_w, 0.0, next_change=begins)
