"""How the battery's energy is shared out over the settlement intervals that an event has left. Pure.

Each interval is meant to get the same, the even level, for the worst one is what counts. Two things are known better than that:

- One that is over cannot be repaired: where the load itself was too low for the even level although the battery carried it throughout, no
  later interval needs more than that one got. Only so much is held back for them, and the rest goes to the running
  interval, whose load is there to take it.
- A house falls quiet from a low load far more often than from a high one. What is held back for a load that never comes stays in the
  battery, so a load that is hardly above the even level is used while it is there, at the price of an uneven event now and then.

Of a load's later hours little tells more than the load as it is: not the hour of the day, and a forest of decision trees that is shown all
other days of a month of one-minute data betters it by half a percent of the energy (`python -m tests.benchmarks.foresight`).
"""

from math import inf

from services.controller.model import Interval

THROUGHOUT = 0.98
"""Of the load: above it the battery carried all there was, but for the switching."""

RELIED_UPON = ((1.36, 0.5), (1.46, 0.985), (2.2, 0.985), (2.4, 1.0))
"""Load now over even level, and what share of the even level is therefore held back for each later interval; linear between the points.
Chosen by the even days of the packaged winter trace."""

SHORTEST_S = 1.0
"""No power is told of less."""


def level_w(
    *,
    available_wh: float,
    given_wh: float,
    elapsed_s: float,
    rest_s: float,
    later_s: float,
    worst_w: float | None,
    load_w: float | None = None,
    earlier_wh: float = 0.0,
    earlier_s: float = 0.0,
) -> float:
    """The mean power to ask of the whole running interval, of which `given_wh` have been given in `elapsed_s`.

    `available_wh` is what the battery can give (AC) until the event's end, `later_s` the time of the event after this interval,
    and `worst_w` what the poorest interval so far was given though the battery carried all its load; None where there was none.
    `load_w` is the load as it is, for an event that gains by all that it gets; None where what is left over is no loss.
    `earlier_wh` is what the event's intervals before this one were given in `earlier_s`.
    """
    interval_s = elapsed_s + rest_s
    if interval_s < SHORTEST_S:
        return 0.0
    whole_wh = max(0.0, available_wh + given_wh)
    left_s = interval_s + later_s
    held_back_w = min(whole_wh * 3600.0 / left_s, inf if worst_w is None else worst_w)
    if load_w is not None:
        # Of the whole event's even level: of what is left of it a precaution would be taken from what the one before had left.
        even_w = max(0.0, whole_wh + earlier_wh) * 3600.0 / (left_s + earlier_s)
        held_back_w = min(held_back_w, even_w * relied_upon(load_w, even_w))
    return max(0.0, (whole_wh * 3600.0 - held_back_w * later_s) / interval_s)


def relied_upon(load_w: float, even_w: float) -> float:
    """The share of the even level that later intervals are relied upon to take, while the load is `load_w`."""
    (low, share), *higher = RELIED_UPON
    if load_w <= low * even_w:
        return share
    for high, next_share in higher:
        if load_w < high * even_w:
            return share + (next_share - share) * (load_w / even_w - low) / (high - low)
        low, share = high, next_share
    return share


def worst_w(before: Interval) -> float | None:
    """The poorest load-bound interval up to `before`, which is over."""
    poorest_w = inf if before.worst_w is None else before.worst_w
    whole_s = (before.end - before.start).total_seconds()
    if before.elapsed_s >= 0.5 * whole_s > 0.0 and before.avoided_wh >= THROUGHOUT * before.load_wh:
        poorest_w = min(poorest_w, max(0.0, before.avoided_wh) * 3600.0 / before.elapsed_s)
    return None if poorest_w == inf else poorest_w
