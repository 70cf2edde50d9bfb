"""What a battery can give and take. Energy is counted at the cells in Wh, power at the AC side in W."""

from dataclasses import dataclass
from math import log

TAPER_FROM_PCT = 90.0
"""Assumed: lithium iron phosphate chargers hold their power up to about here."""
TAPER_END_SHARE = 0.1
"""Assumed: the share of the charging power that is left at 100 %."""


@dataclass(frozen=True, slots=True)
class Battery:
    """The figures of a power station that decisions rest on."""

    capacity_wh: float
    floor_pct: float
    inverter_w: float
    charge_w: float
    idle_w: float
    discharge_efficiency: float
    charge_efficiency: float


def even_power_w(battery: Battery, soc_pct: float, lowest_pct: float, left_s: float) -> float:
    """The AC power that the battery can hold evenly until `left_s` have passed, never below `lowest_pct`.

    The inverter stays on for the whole event, so idle draw counts all along:
    g = max(0, eta * (C * (s - s_min) / T - P_idle)).
    """
    if left_s <= 0.0:
        return 0.0
    stored_wh = battery.capacity_wh * (soc_pct - lowest_pct) / 100.0
    return max(0.0, battery.discharge_efficiency * (stored_wh * 3600.0 / left_s - battery.idle_w))


def flexible_wh(battery: Battery, soc_pct: float, lowest_pct: float) -> float:
    """The energy that an event could take from the battery at the AC side, idle draw left out."""
    return max(0.0, battery.discharge_efficiency * battery.capacity_wh * (soc_pct - lowest_pct) / 100.0)


def charging_s(battery: Battery, soc_pct: float, target_pct: float, charge_w: float) -> float:
    """How long charging from `soc_pct` to `target_pct` takes at `charge_w` from the grid before the taper.

    Above TAPER_FROM_PCT the power falls linearly to TAPER_END_SHARE, so time there is a logarithm.
    """
    if target_pct <= soc_pct:
        return 0.0
    per_pct_s = battery.capacity_wh / 100.0 * 3600.0 / (battery.charge_efficiency * charge_w)
    flat = max(0.0, min(target_pct, TAPER_FROM_PCT) - soc_pct)
    span, fall = 100.0 - TAPER_FROM_PCT, 1.0 - TAPER_END_SHARE

    def taper_pct(pct: float) -> float:
        return -span / fall * log(1.0 - fall * (max(pct, TAPER_FROM_PCT) - TAPER_FROM_PCT) / span)

    return per_pct_s * (flat + taper_pct(target_pct) - taper_pct(soc_pct))
