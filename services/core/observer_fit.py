"""How certain the observer is, and what a correction teaches it: a Kalman filter over the charge and four factors.

What is wrong with a meter, an efficiency or the stated capacity is wrong all the time, so the error of the charge
does not average out: it grows with the energy that has flowed. It is therefore carried as the error of four factors
(one a flow), and a correction mends those, too. Only ratios of energies to the capacity can be seen, which is why
the stated capacity's error is part of each factor. Pure.
"""

from math import sqrt
from typing import NamedTuple

GAIN = 0.03
"""Assumed: standard error of a power meter's gain."""
EFFICIENCY = 0.02
"""Assumed: standard error of a stated efficiency."""
CAPACITY = 0.02
"""Assumed: standard error of a stated capacity, common to all factors."""
IDLE = 0.15
"""Assumed: standard error of a stated idle draw."""
WANDER = 0.002
"""Assumed: how far a factor wanders in the root of a day (temperature, age, another load)."""
SURPRISE = 4.0
"""A correction beyond so many standard errors says that something else is wrong: the factors learn nothing from it."""

Row = tuple[float, float, float, float, float]
Covariance = tuple[Row, Row, Row, Row, Row]
Factors = tuple[float, float, float, float]

_FLOW = GAIN**2 + EFFICIENCY**2 + CAPACITY**2
_C = CAPACITY**2
PRIOR: Covariance = (
    (0.0, 0.0, 0.0, 0.0, 0.0),
    (0.0, _FLOW, _C, _C, _C),
    (0.0, _C, _FLOW, _C, _C),
    (0.0, _C, _C, _FLOW, _C),
    (0.0, _C, _C, _C, IDLE**2 + _C),
)
"""Before anything was learnt: a certain charge, uncertain factors."""
_LEAST, _MOST = 0.7, 1.4
"""A factor outside is no meter's error."""


class Tally(NamedTuple):
    """Energies at the cells since the last correction, by the stated figures: how much each factor has mattered."""

    grid_wh: float = 0.0
    """From P2."""
    sun_wh: float = 0.0
    """From P4."""
    load_wh: float = 0.0
    """To P3."""
    idle_wh: float = 0.0
    unseen_wh: float = 0.0
    """Standard error of what flowed while nobody looked."""
    since_s: float = 0.0


class Fit(NamedTuple):
    """What is known of the flows at the last correction."""

    factors: Factors = (1.0, 1.0, 1.0, 1.0)
    """Of P2, P4, P3 and the idle draw: by what their energies at the cells by the stated figures are to be multiplied."""
    covariance: Covariance = PRIOR
    """Of the charge (in Wh) and the four factors."""


def deviation_wh(fit: Fit, tally: Tally) -> float:
    """The standard error of the charge now."""
    a, b, c, d = tally.grid_wh, tally.sun_wh, -tally.load_wh, -tally.idle_wh
    (p00, p01, p02, p03, p04), (_, p11, p12, p13, p14), (_, _, p22, p23, p24), (_, _, _, p33, p34), (_, _, _, _, p44) = fit.covariance
    square = (
        p00 + a * a * p11 + b * b * p22 + c * c * p33 + d * d * p44
        + 2.0 * (a * p01 + b * p02 + c * p03 + d * p04 + a * (b * p12 + c * p13 + d * p14) + b * (c * p23 + d * p24) + c * d * p34)
    )  # fmt: skip
    return sqrt(max(0.0, square) + tally.unseen_wh**2)


def certain(fit: Fit, noise_wh: float) -> Fit:
    """The charge has just been seen with a standard error of `noise_wh`, whatever was thought before; the factors stay."""
    rows = [list(row) for row in fit.covariance]
    for i in range(5):
        rows[0][i] = rows[i][0] = 0.0
    rows[0][0] = noise_wh**2
    return Fit(fit.factors, _covariance(rows))


def correct(fit: Fit, tally: Tally, surprise_wh: float, noise_wh: float) -> tuple[Fit, float]:
    """The fit after the charge was seen to be `surprise_wh` above the estimate, with a standard error of `noise_wh`.

    Returns with it what to add to the estimate; the tally begins anew.
    """
    rows = _now(fit, tally)
    own_wh2 = rows[0][0] + tally.unseen_wh**2
    total_wh2 = own_wh2 + noise_wh**2
    if surprise_wh**2 > SURPRISE**2 * total_wh2:
        return certain(fit, noise_wh), surprise_wh
    column = [own_wh2, *(row[0] for row in rows[1:])]
    gains = [value / total_wh2 for value in column]
    rows[0][0] = own_wh2
    mended = [[rows[i][j] - gains[i] * column[j] for j in range(5)] for i in range(5)]
    a, b, c, d = (min(_MOST, max(_LEAST, f + gain * surprise_wh)) for f, gain in zip(fit.factors, gains[1:], strict=True))
    return Fit((a, b, c, d), _covariance(mended)), gains[0] * surprise_wh


def _now(fit: Fit, tally: Tally) -> list[list[float]]:
    """The covariance carried forward from the last correction, without what nobody saw."""
    before = fit.covariance
    weights = (1.0, tally.grid_wh, tally.sun_wh, -tally.load_wh, -tally.idle_wh)
    cross = [sum(weights[j] * before[i][j] for j in range(5)) for i in range(5)]
    rows = [list(row) for row in before]
    cross[0] = sum(weights[i] * cross[i] for i in range(5))
    # What was learnt is a mean over the time since the last correction, and serves for the time until the next one: of what a
    # factor wanders from one mean to the other, half is left on average.
    wander = WANDER**2 * tally.since_s / 86400.0 / 2.0
    for i in range(5):
        rows[0][i] = rows[i][0] = cross[i]
        if i:
            rows[i][i] += wander
    return rows


def _covariance(rows: list[list[float]]) -> Covariance:
    """`rows` made symmetric again after rounding."""

    def row(i: int) -> Row:
        a, b, c, d, e = ((rows[i][j] + rows[j][i]) / 2.0 for j in range(5))
        return (a, b, c, d, e)

    return (row(0), row(1), row(2), row(3), row(4))
