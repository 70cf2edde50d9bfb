"""PI control of a reduction by an on/off relay: the error is the settlement interval's energy, the output a duty.

Programmes pay by the mean over a settlement interval, so the proportional part acts on the energy error of the
running interval and the integral part on what earlier intervals left over. Pure.
"""

from typing import NamedTuple


class Output(NamedTuple):
    """What the rest of the interval is to carry."""

    demand_w: float
    """Mean battery power asked of the rest of the interval."""
    duty: float
    """The share of the rest for which the load has to be on the battery."""


def control(
    *, goal_w: float, elapsed_s: float, avoided_wh: float, carry_wh: float, rest_s: float, load_w: float, gain_p: float, gain_i: float
) -> Output:
    """The demand for the rest of the interval: goal + (Kp x interval error + Ki x carried error) / rest.

    With both gains at 1 the rest makes up for the whole error (dead-beat at the interval's end). The duty
    saturates at 0 and 1; `carried` keeps the integral from winding up.
    """
    if rest_s <= 0.0 or load_w <= 0.0:
        return Output(goal_w, 0.0)
    error_wh = goal_w * elapsed_s / 3600.0 - avoided_wh
    demand_w = goal_w + (gain_p * error_wh + gain_i * carry_wh) * 3600.0 / rest_s
    return Output(demand_w, min(1.0, max(0.0, demand_w / load_w)))


def carried(carry_wh: float, *, goal_w: float, elapsed_s: float, avoided_wh: float, limit_wh: float) -> float:
    """The error left over at an interval's end, clamped to what one block of the relay can be out by (anti-windup)."""
    error_wh = carry_wh + goal_w * elapsed_s / 3600.0 - avoided_wh
    return min(limit_wh, max(-limit_wh, error_wh))
