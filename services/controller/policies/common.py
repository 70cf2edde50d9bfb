"""What the policies share."""

from datetime import datetime

from services.controller.model import Memory, Proposal, Settings, Snapshot
from services.controller.reasons import Reason
from services.core.modes import SAFE_MODE
from services.core.pv_forecast import Expected, expected

RESUME_PCT = 5.0
"""Hysteresis: discharge or charge begins only when there is so much to do."""


def sun(snapshot: Snapshot, memory: Memory, now: datetime, until: datetime, settings: Settings) -> Expected:
    """The PV energy to expect between now and `until`."""
    learned = memory.learned
    return expected(learned.pv_by_hour_wh, learned.pv_spread_wh, snapshot.forecast, now, until, settings.zone)


def rest(soc_pct: float, until: datetime | None) -> Proposal:
    """Nothing to do."""
    return Proposal(SAFE_MODE, Reason("resting", (soc_pct,)), next_change=until)
