"""What the controller tells of itself: its decision with the reason, its health, and its view of the state of charge."""

import logging
from collections.abc import Sequence
from datetime import datetime

from services.bus import contract
from services.bus.client import Bus
from services.bus.messages.devices import BatteryEstimate
from services.bus.messages.state import ControllerState
from services.controller import rules
from services.controller.model import Decision, Settings
from services.controller.rival import Charge
from services.core.goals import Method
from services.core.observer import estimate

log = logging.getLogger(__name__)

TELL_S = 5.0
"""Real seconds after which the same is told again: whoever stands by takes a longer silence for an end."""
ALARMS = rules.ALARMS | {
    *("p1_stuck_open", "p3_lost", "p1_astray", "grid_outage", "soc_unknown", "p1_unknown", "load_unknown", "p3_not_alive"),
}


class Teller:
    """Publishes at once what is news, and repeats it now and then."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._bus = bus
        self._settings = settings
        self._told: tuple[object, ...] = ()
        self._told_at = float("-inf")
        self._estimated_at = float("-inf")

    def tell(
        self, decision: Decision, charge: Charge, methods: tuple[Method, ...], beside: Sequence[str], now: datetime, now_s: float
    ) -> None:
        """Publish `decision` with whoever is in charge; `beside` are words on what happens beside the modes."""
        news = (decision.phase, decision.mode, decision.mode_confirmed, decision.reason.code, decision.event_id, methods)
        if news == self._told and now_s - self._told_at < TELL_S:
            return
        text = "; ".join([decision.reason.text(self._settings.zone), *beside])
        if self._told[:4] != news[:4]:
            log.info("mode %d, %s: %s", decision.mode, decision.phase, text)
        self._told, self._told_at = news, now_s
        self._bus.health(text if decision.reason.code in ALARMS else None)
        self._bus.publish(
            contract.CONTROLLER_STATE,
            ControllerState(
                ts=now,
                phase=decision.phase,
                mode_commanded=int(decision.mode),
                mode_confirmed=None if decision.mode_confirmed is None else int(decision.mode_confirmed),
                reason=text,
                reason_code=decision.reason.code,
                goal_w=decision.goal_w,
                duty=decision.duty,
                event_id=decision.event_id,
                next_change=decision.next_change,
                methods=methods,
                instance=charge.instance,
                in_charge_since=charge.since,
            ),
        )

    def estimate(self, decision: Decision, now: datetime, now_s: float) -> None:
        """Publish the observer's view, and say so when the power station tells something else."""
        if now_s - self._estimated_at < TELL_S:
            return
        observer = decision.memory.observer
        if (seen := estimate(observer, self._settings.battery)) is None:
            return
        self._estimated_at = now_s
        soc_pct, low, high = (round(value, 2) for value in seen)
        self._bus.publish(contract.BATTERY_ESTIMATE, BatteryEstimate(ts=now, soc_pct=soc_pct, low=low, high=high))
        if observer.doubt_s > 0.0 and observer.reported_pct is not None:
            self._bus.report(
                "the power station's state of charge does not fit what flowed in and out",
                field="soc_pct",
                value=f"{observer.reported_pct:.0f}",
                remedy=f"the meters say {low:.0f} to {high:.0f} %; check battery.capacity_wh and the meters, or charge it full once",
                topic="battery/reading",
            )
