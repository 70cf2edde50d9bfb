"""How a power station charges from the grid, measured: power by state of charge with its taper, and the energy a percent takes.

From both follows how long a charge takes, and how uncertain that is. Where nothing was measured yet the assumptions
of `battery.charging_s` hold. Pure.
"""

from math import sqrt
from typing import NamedTuple

from services.core.battery import Battery, charging_s

STEP_PCT = 5.0
STEPS = 20
ENOUGH_S = 60.0
"""A step of the curve counts as measured once it was charged in for so long."""
MEMORY_S = 1800.0
"""The power within a step is smoothed over about so long."""
SECTION_PCT = 10.0
"""The energy of a percent is measured over so many: stations tell whole percents only."""
SECTIONS = 5.0
"""And smoothed over about so many sections."""
UNMEASURED = 0.25
"""Assumed: the relative uncertainty of a time that rests on the charger's rating and the assumed taper."""
LEAST = 0.04
"""The relative uncertainty that remains of what was measured."""


class ChargeCurve(NamedTuple):
    """What was measured so far."""

    power_w: tuple[float, ...] = (0.0,) * STEPS
    """Mean power from the grid in each step of the state of charge."""
    square_w2: tuple[float, ...] = (0.0,) * STEPS
    """Mean square of the deviations from it."""
    seconds: tuple[float, ...] = (0.0,) * STEPS
    """For how long each step was charged in."""
    wh_per_pct: float | None = None
    """Energy from the grid and the sun for one percent more."""
    wh_spread: float = 0.0
    """Its mean relative deviation from section to section."""
    last_pct: float | None = None
    """The state of charge of the last reading in the running charge."""
    from_pct: float | None = None
    """Where the running section began: at a change of the reading, so that no part of a percent is missed."""
    from_wh: float = 0.0
    """Energy in since then."""


class ChargingTime(NamedTuple):
    """How long a charge takes."""

    seconds: float
    uncertainty: float
    """Relative: one standard deviation or so."""


def resting(curve: ChargeCurve) -> ChargeCurve:
    """The curve while nothing charges."""
    return curve if curve.last_pct is None else curve._replace(last_pct=None, from_pct=None, from_wh=0.0)


def charged(curve: ChargeCurve, soc_pct: float, power_w: float, sun_w: float, dt_s: float) -> ChargeCurve:
    """The curve after `dt_s` of charging at `power_w` from the grid, with `sun_w` from the panel beside it."""
    i = min(STEPS - 1, int(soc_pct // STEP_PCT))
    seconds = curve.seconds[i] + dt_s
    share = min(1.0, dt_s / min(max(seconds, 1e-9), MEMORY_S))
    off_w = power_w - curve.power_w[i]
    mean_w = curve.power_w[i] + share * off_w
    square = (1.0 - share) * (curve.square_w2[i] + share * off_w * off_w)
    from_pct, from_wh = curve.from_pct, curve.from_wh + (power_w + sun_w) * dt_s / 3600.0
    per_pct, spread = curve.wh_per_pct, curve.wh_spread
    if curve.last_pct is not None and soc_pct > curve.last_pct:
        if from_pct is None:
            from_pct, from_wh = soc_pct, 0.0
        elif soc_pct - from_pct >= SECTION_PCT:
            found = from_wh / (soc_pct - from_pct)
            if per_pct is None:
                per_pct, spread = found, LEAST
            else:
                spread += (abs(found - per_pct) / per_pct - spread) / SECTIONS
                per_pct += (found - per_pct) / SECTIONS
            from_pct, from_wh = soc_pct, 0.0
    return ChargeCurve(
        power_w=(*curve.power_w[:i], mean_w, *curve.power_w[i + 1 :]),
        square_w2=(*curve.square_w2[:i], square, *curve.square_w2[i + 1 :]),
        seconds=(*curve.seconds[:i], seconds, *curve.seconds[i + 1 :]),
        wh_per_pct=per_pct,
        wh_spread=spread,
        last_pct=soc_pct,
        from_pct=from_pct,
        from_wh=from_wh,
    )


def charging_time(curve: ChargeCurve, battery: Battery, soc_pct: float, target_pct: float, charge_w: float) -> ChargingTime:
    """How long charging from `soc_pct` to `target_pct` takes, without the sun's help.

    `charge_w` is the power below the taper for the steps that were never charged in.
    """
    if target_pct <= soc_pct:
        return ChargingTime(0.0, 0.0)
    stated = battery.capacity_wh / 100.0 / battery.charge_efficiency
    per_pct = curve.wh_per_pct or stated
    energy_off = UNMEASURED if curve.wh_per_pct is None else max(LEAST, curve.wh_spread)
    total_s = doubt_s = 0.0
    for i in range(int(soc_pct // STEP_PCT), STEPS):
        low, high = max(soc_pct, i * STEP_PCT), min(target_pct, (i + 1) * STEP_PCT)
        if high <= low:
            break
        power_w = curve.power_w[i]
        if curve.seconds[i] >= ENOUGH_S and power_w > 0.0:
            part_s = per_pct * (high - low) * 3600.0 / power_w
            off = max(LEAST, sqrt(curve.square_w2[i]) / power_w, energy_off)
        else:
            part_s = charging_s(battery, low, high, charge_w) * per_pct / stated
            off = UNMEASURED
        total_s += part_s
        doubt_s += part_s * off
    return ChargingTime(total_s, doubt_s / total_s if total_s > 0.0 else 0.0)
