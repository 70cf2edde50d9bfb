"""Policy `self_consumption`: the load takes what the sun put into the battery, and the grid charges the reserve only. Pure.

Whatever the panel gives goes into the battery by itself; it is lost only while the battery is full. So the battery is
kept as empty as is allowed, in few long spells: each begins when there is enough for one, and ends at the lowest.
"""

from datetime import datetime

from services.controller.model import Memory, Proposal, Settings, Snapshot
from services.controller.policies.common import rest
from services.controller.reasons import Reason
from services.core.modes import Mode

BEGIN_PCT = 15.0
"""A spell on the battery begins when there is so much above the lowest …"""
END_PCT = 2.0
"""… and ends when there is so little: what the output draws for itself must not reach the reserve at once."""
SAG_PCT = 2.0
"""The reserve may sag by so much before the grid fills it, as much above: the sun may do it for nothing."""


def propose(soc_pct: float, _snapshot: Snapshot, memory: Memory, _now: datetime, lowest_pct: float, _settings: Settings) -> Proposal:
    """Feed the load from the sun's energy while there is some."""
    end_pct = min(lowest_pct + END_PCT, 99.0)
    begin_pct = min(lowest_pct + BEGIN_PCT, 99.0)
    if soc_pct > (end_pct if memory.mode is Mode.BATTERY else begin_pct):
        return Proposal(Mode.BATTERY, Reason("solar_discharge", (soc_pct, end_pct)))
    keep_pct = min(lowest_pct + SAG_PCT, 100.0)
    if soc_pct < (keep_pct if memory.charging else lowest_pct - SAG_PCT):
        return Proposal(Mode.GRID_AND_CHARGE, Reason("reserve_charge", (soc_pct, keep_pct)))
    return rest(soc_pct, None)
