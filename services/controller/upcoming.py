"""Phase upcoming: be full by the start of the event, charging as late as is safe, with room left for the sun. Pure."""

from datetime import datetime, timedelta

from services.controller.model import Memory, Proposal, Settings
from services.controller.observe import expected_pv_wh
from services.controller.reasons import Reason
from services.controller.view import View
from services.core.battery import charging_s
from services.core.events import Event
from services.core.modes import SAFE_MODE, Mode

RECHARGE_BELOW_PCT = 2.0
"""A full battery may settle by so much before it is charged again."""


def propose(event: Event, view: View, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    """Rest, or charge, so that the battery is full when `event` starts.

    Charging begins at start - margin x charging time, from the measured charging power where there is one.
    """
    left = event.start - now
    if view.soc_pct is None:
        return Proposal(SAFE_MODE, Reason("soc_unknown"), next_change=event.start)
    room_wh = expected_pv_wh(memory.learned, now, event.start, settings) * settings.battery.charge_efficiency
    target_pct = max(lowest_pct, 100.0 - 100.0 * room_wh / settings.battery.capacity_wh)
    if view.soc_pct >= target_pct - (0.0 if memory.charging else RECHARGE_BELOW_PCT):
        return Proposal(SAFE_MODE, Reason("full_for_event", (event.id, view.soc_pct, left)), next_change=event.start)
    charge_w = memory.learned.charge_w or settings.battery.charge_w
    needed_s = settings.control.charge_margin * charging_s(settings.battery, view.soc_pct, target_pct, charge_w)
    begin = event.start - timedelta(seconds=needed_s)
    if memory.charging or now >= begin:
        return Proposal(
            Mode.GRID_AND_CHARGE, Reason("charging_for_event", (event.id, view.soc_pct, target_pct, left)), next_change=event.start
        )
    return Proposal(SAFE_MODE, Reason("waiting_to_charge", (event.id, left, begin - now)), next_change=begin)
