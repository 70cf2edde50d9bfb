"""The state of charge of a power station, observed from outside: what flowed in and out, and where that is certain.

P2, P4, P3 and the idle draw are integrated with the station's efficiencies. The estimate is corrected where the
station betrays its charge: full, when the power at P2 falls to the float level; empty, when the output collapses under
load; and where it reports its state of charge itself. Between corrections the uncertainty grows (see observer_fit).
Pure: a frozen state in, a frozen state out.
"""

from dataclasses import field, replace
from statistics import NormalDist
from typing import NamedTuple

from services.core.battery import Battery
from services.core.observer_fit import Fit, Tally, certain, correct, deviation_wh
from services.core.record import record

_NORMAL = NormalDist()
LEAST_PCT = 0.2
"""Standard error that is left at the best of times."""
FULL_PCT, EMPTY_PCT, REPORT_PCT = 0.2, 1.5, 3.0
"""Assumed: standard errors of an observed end, and of what a station says of itself."""
FLOAT_S = 180.0
"""P2 has to stay at the float level so long."""
TAPER_S = 120.0
"""And must have come down to it by way of lower powers: a charge that is merely cut off says nothing."""
TAPER_SHARE = 0.7
"""Of the charge's highest power: below it the charger is reducing."""
FULL_FROM_PCT = 97.0
"""An upper bound from which a charge that begins at the float level is believed to have found the battery full."""
EMPTY_UP_TO_PCT = 15.0
"""A lower bound up to which a collapse of the output is put down to an empty battery."""
IDLE_W = 5.0
"""Below this P3 carries nothing."""
UNDER_LOAD = (20.0, 0.9)
"""Least W, and most share of the inverter's rating, at which a collapse is not somebody's button or an overload."""
REPORT_EVERY_S = 3600.0
"""A station's own figure errs alike from one second to the next: it counts as one new report so often."""
DOUBT = 3.0
"""A report so many standard errors away is not believed..."""
DOUBT_S = 3600.0
"""...until it has been repeated for so long."""
ABSURD_W = 50_000.0
"""No reading of a house like this: unknown."""
FORGET_S = 7 * 86400.0
"""After a gap of this length nothing is known any more."""


class Inputs(NamedTuple):
    """What the meters say of the time since the last update. None is unknown."""

    p2_w: float | None
    p3_w: float | None
    p4_w: float | None
    """0 where there is no panel."""
    p2_on: bool | None
    output_on: bool | None
    """The AC output carries voltage."""
    report_pct: float | None = None
    """The station's own state of charge, if it is fresh."""


class Seen(NamedTuple):
    """What the ends are recognised by."""

    p2_w: float = 0.0
    p3_w: float = 0.0
    p4_w: float = 0.0
    output_on: bool | None = None
    peak_w: float = 0.0
    """The highest power of this charge."""
    taper_s: float = 0.0
    float_s: float = 0.0


@record(frozen=True, slots=True)
class Observer:
    """The observer's state."""

    stored_wh: float | None = None
    """The reckoning; None until the charge has been seen for the first time. It may leave the battery's bounds a little: how far
    it has done so is what the next correction learns from. `estimate` keeps within them."""
    full: bool = False
    """The battery is observed full now."""
    since_full_s: float | None = None
    """Since it was last observed full; None if never."""
    report_s: float = REPORT_EVERY_S
    """Since the last report that counted."""
    doubt_s: float = 0.0
    """How long the station's own figure has been far outside the band; 0 while it is not."""
    tally: Tally = field(default_factory=Tally)
    fit: Fit = field(default_factory=Fit)
    seen: Seen = field(default_factory=Seen)
    reported_pct: float | None = None
    """The last report that was looked at."""


class Estimate(NamedTuple):
    """The state of charge, and the band that holds the true one in nine cases of ten."""

    soc_pct: float
    low: float
    high: float


def estimate(state: Observer, battery: Battery) -> Estimate | None:
    """What `state` says; None while nothing is known."""
    if state.stored_wh is None:
        return None
    per_pct = battery.capacity_wh / 100.0
    deviation = max(deviation_wh(state.fit, state.tally) / per_pct, LEAST_PCT)
    reckoned = min(100.0 + 3.0 * deviation, max(-3.0 * deviation, state.stored_wh / per_pct))
    # Of the normal distribution around the reckoning only the part between empty and full can be true.
    below, above = _NORMAL.cdf(-reckoned / deviation), _NORMAL.cdf((100.0 - reckoned) / deviation)

    def quantile(share: float) -> float:
        at = reckoned + deviation * _NORMAL.inv_cdf(below + share * (above - below))
        return min(100.0, max(0.0, at))

    # A battery that the sun keeps full is at its bound, not below it: the band reaches as far up as without the bound,
    # and what it thus need not leave out above, it leaves out below. It always holds nine tenths of what can be true.
    high = min(100.0, max(0.0, reckoned + 1.645 * deviation))
    left_out_above = max(0.0, above - _NORMAL.cdf((high - reckoned) / deviation)) / (above - below)
    middle = quantile(0.5)
    return Estimate(middle, min(middle, quantile(max(0.01, 0.1 - left_out_above))), max(middle, high))


def cautious_pct(state: Observer, battery: Battery) -> float | None:
    """The state of charge to decide by: the band's lower bound, or 100 while the battery is observed full."""
    if state.full:
        return 100.0
    now = estimate(state, battery)
    return now.low if now is not None else None


def update(state: Observer, inputs: Inputs, dt_s: float, battery: Battery) -> Observer:
    """The state `dt_s` station seconds later, during which `inputs` stood. Time does not run backwards: then nothing changes."""
    if dt_s <= 0.0 and state.stored_wh is not None:
        return state
    dt_s = max(0.0, dt_s)
    if dt_s > FORGET_S:
        state = replace(state, stored_wh=None, tally=Tally(), full=False)
        dt_s = FORGET_S
    inputs = _sensible(inputs)
    stored_wh, tally = _integrated(state, inputs, dt_s, battery)
    seen = _watched(state.seen, inputs, dt_s, battery)
    since_full_s = None if state.since_full_s is None else state.since_full_s + dt_s
    after = Observer(stored_wh, state.full, since_full_s, state.report_s + dt_s, state.doubt_s, tally, state.fit, seen, state.reported_pct)
    if seen.float_s >= FLOAT_S and _is_full(after, seen, inputs, battery):
        return _at_full(after, battery)
    if state.full:
        after = replace(after, full=False)
    if inputs.output_on is False and _is_empty(after, state.seen, inputs, battery):
        after = _corrected(after, 0.0, EMPTY_PCT, battery)
    if inputs.report_pct is not None and (after.report_s >= REPORT_EVERY_S or after.doubt_s > 0.0 or after.stored_wh is None):
        after = _reported(after, inputs.report_pct, dt_s, battery)
    if tally.unseen_wh > battery.capacity_wh:
        return replace(after, stored_wh=None, tally=Tally())
    return after


def _sensible(inputs: Inputs) -> Inputs:
    """`inputs` without what no house can mean."""
    p2_w, p3_w, p4_w = inputs.p2_w, inputs.p3_w, inputs.p4_w
    if (p2_w is None or 0.0 <= p2_w < ABSURD_W) and (p3_w is None or 0.0 <= p3_w < ABSURD_W) and (p4_w is None or 0.0 <= p4_w < ABSURD_W):
        return inputs

    def sensible(power_w: float | None) -> float | None:
        return max(0.0, power_w) if power_w is not None and power_w < ABSURD_W else None

    return inputs._replace(p2_w=sensible(p2_w), p3_w=sensible(p3_w), p4_w=sensible(p4_w))


def _integrated(state: Observer, inputs: Inputs, dt_s: float, battery: Battery) -> tuple[float | None, Tally]:
    """The charge, and the tally, after the flows of `dt_s`."""
    if state.stored_wh is None:
        return None, state.tally
    seen, hours = state.seen, dt_s / 3600.0
    p2_w, p3_w, p4_w = inputs.p2_w, inputs.p3_w, inputs.p4_w
    unseen_w = 0.0
    # What is not read is taken to have gone on, with an error as large as what may have become of it.
    if p2_w is None:
        p2_w = 0.0 if inputs.p2_on is False else seen.p2_w
        unseen_w += 0.0 if inputs.p2_on is False else max(seen.p2_w, 0.5 * battery.charge_w) * battery.charge_efficiency
    if p3_w is None:
        p3_w = seen.p3_w
        unseen_w += max(seen.p3_w, 0.1 * battery.inverter_w) / battery.discharge_efficiency
    if p4_w is None:
        p4_w = 0.5 * seen.p4_w
        unseen_w += max(seen.p4_w, 0.1 * battery.charge_w) * battery.charge_efficiency
    grid_before_wh, sun_before_wh, load_before_wh, idle_before_wh, unseen_wh, since_s = state.tally
    grid_wh, sun_wh = p2_w * battery.charge_efficiency * hours, p4_w * battery.charge_efficiency * hours
    load_wh = p3_w / battery.discharge_efficiency * hours
    idle_wh = 0.0 if inputs.output_on is False else battery.idle_w * hours
    a, b, c, d = state.fit.factors
    stored_wh = state.stored_wh + a * grid_wh + b * sun_wh - c * load_wh - d * idle_wh
    tally = Tally(
        grid_before_wh + grid_wh,
        sun_before_wh + sun_wh,
        load_before_wh + load_wh,
        idle_before_wh + idle_wh,
        unseen_wh + unseen_w * hours,
        since_s + dt_s,
    )
    return _bounded(stored_wh, battery), tally


def _bounded(stored_wh: float, battery: Battery) -> float:
    if 0.0 <= stored_wh <= battery.capacity_wh:
        return stored_wh
    return min(1.5 * battery.capacity_wh, max(-0.5 * battery.capacity_wh, stored_wh))


def _watched(seen: Seen, inputs: Inputs, dt_s: float, battery: Battery) -> Seen:
    """What is remembered of the charge under way, and of the last powers."""
    p2_w, p3_w, p4_w = inputs.p2_w, inputs.p3_w, inputs.p4_w
    peak_w, taper_s, float_s = seen.peak_w, seen.taper_s, seen.float_s
    if inputs.p2_on is not True:
        peak_w = taper_s = float_s = 0.0
    elif p2_w is not None:
        level_w = float_w(battery)
        peak_w = max(peak_w, p2_w)
        if level_w < p2_w < TAPER_SHARE * peak_w:
            taper_s += dt_s
        resting = p2_w + (p4_w or 0.0) <= level_w and p3_w is not None and p3_w <= IDLE_W
        float_s = float_s + dt_s if resting else 0.0
    return Seen(
        seen.p2_w if p2_w is None else p2_w,
        seen.p3_w if p3_w is None else p3_w,
        seen.p4_w if p4_w is None else p4_w,
        inputs.output_on,
        peak_w,
        taper_s,
        float_s,
    )


def float_w(battery: Battery) -> float:
    """The power at P2 up to which a full station only feeds its own idle draw."""
    return 1.25 * battery.idle_w / battery.charge_efficiency + 0.02 * battery.charge_w


def _is_full(state: Observer, seen: Seen, inputs: Inputs, battery: Battery) -> bool:
    if state.full or seen.taper_s >= TAPER_S:
        return True
    # It was at the float level from the start: full already, unless it is switched off, or the charger refuses.
    feeds_itself = inputs.p2_w is not None and inputs.p2_w > 0.3 * battery.idle_w
    now = estimate(state, battery)
    return feeds_itself and (now is None or now.high >= FULL_FROM_PCT)


def _is_empty(state: Observer, before: Seen, inputs: Inputs, battery: Battery) -> bool:
    collapsed = before.output_on is True and inputs.output_on is False and inputs.p2_on is not True
    if not collapsed or not UNDER_LOAD[0] < before.p3_w < UNDER_LOAD[1] * battery.inverter_w:
        return False
    now = estimate(state, battery)
    return now is not None and now.low <= EMPTY_UP_TO_PCT


def _at_full(state: Observer, battery: Battery) -> Observer:
    if not state.full:
        state = _corrected(state, 100.0, FULL_PCT, battery)
    # As long as it floats it stays full, and what flows is its idle draw.
    return replace(state, stored_wh=battery.capacity_wh, full=True, since_full_s=0.0, tally=Tally(), doubt_s=0.0)


def _reported(state: Observer, report_pct: float, dt_s: float, battery: Battery) -> Observer:
    """The station's own figure, fused or doubted."""
    state = replace(state, reported_pct=report_pct)
    now = estimate(state, battery)
    if now is None:
        return replace(_corrected(state, report_pct, REPORT_PCT, battery), report_s=0.0)
    deviation_pct = (deviation_wh(state.fit, state.tally) / battery.capacity_wh * 100.0) ** 2 + REPORT_PCT**2
    if (report_pct - now.soc_pct) ** 2 <= DOUBT**2 * deviation_pct:
        return replace(_corrected(state, report_pct, REPORT_PCT, battery), report_s=0.0, doubt_s=0.0)
    if state.doubt_s < DOUBT_S:
        return replace(state, doubt_s=state.doubt_s + max(dt_s, 1e-3))
    stored_wh = report_pct / 100.0 * battery.capacity_wh
    fit = certain(state.fit, REPORT_PCT / 100.0 * battery.capacity_wh)
    return replace(state, stored_wh=stored_wh, fit=fit, tally=Tally(), report_s=0.0, doubt_s=0.0)


def _corrected(state: Observer, soc_pct: float, noise_pct: float, battery: Battery) -> Observer:
    """The state after the charge was seen to be `soc_pct`."""
    seen_wh, noise_wh = soc_pct / 100.0 * battery.capacity_wh, noise_pct / 100.0 * battery.capacity_wh
    if state.stored_wh is None:
        return replace(state, stored_wh=seen_wh, fit=certain(state.fit, noise_wh), tally=Tally())
    fit, shift_wh = correct(state.fit, state.tally, seen_wh - state.stored_wh, noise_wh)
    return replace(state, stored_wh=_bounded(state.stored_wh + shift_wh, battery), fit=fit, tally=Tally())
