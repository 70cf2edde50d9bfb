"""Policy `standby`: the battery stays charged for an outage, and gives nothing by itself. Pure."""

from datetime import datetime

from services.controller.model import Memory, Proposal, Settings, Snapshot
from services.controller.policies.common import RESUME_PCT, rest
from services.controller.reasons import Reason
from services.core.modes import Mode


def propose(soc_pct: float, _snapshot: Snapshot, memory: Memory, _now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    """Charge what was lost, once it is enough to be worth it. Events still use the battery, down to the reserve."""
    up_to_pct = max(settings.cycle.charge_to_pct, lowest_pct)
    if soc_pct < up_to_pct - (0.0 if memory.charging else RESUME_PCT):
        return Proposal(Mode.GRID_AND_CHARGE, Reason("standby_charge", (soc_pct, up_to_pct)))
    return rest(soc_pct, None)
