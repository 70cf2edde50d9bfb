"""Feeds the charge curve with what the meters say while the grid charges the battery. Pure."""

from services.controller.view import View
from services.core.charge_curve import ChargeCurve, charged, resting

CHARGING_W = 5.0
"""Below this nothing flows: at the end of the taper the charger is done."""


def followed(curve: ChargeCurve, view: View, dt_s: float, *, charging: bool) -> ChargeCurve:
    """`curve` with this cycle's readings, if they are those of a charge."""
    if not charging:
        return resting(curve)
    power_w = view.p2_w
    if view.soc_pct is None or power_w is None or power_w <= CHARGING_W or dt_s <= 0.0:
        return curve
    return charged(curve, view.soc_pct, power_w, view.p4_w or 0.0, dt_s)
