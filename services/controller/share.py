"""How the battery's energy is shared out over the settlement intervals that an event has left. Pure.

What load the later intervals will bring is as good as unknown: on a month of one-minute household data neither the load so far nor the
same hour of other days tells the mean of an hour two or three ahead to more than a fiftieth of its spread, and the next hour's to a tenth.
So each interval is meant to get the same, the even level. But the worst interval is what counts, and one that is over cannot be
repaired: where the load itself was too low for the even level although the battery carried it throughout, no later
interval needs more than that one got. Only so much is held back for them, and the rest goes to the running interval,
whose load is there to take it.
"""

from math import inf

from services.controller.model import Interval

THROUGHOUT = 0.98
"""Of the load: above it the battery carried all there was, but for the switching."""

SHORTEST_S = 1.0
"""No power is told of less."""


def level_w(*, available_wh: float, given_wh: float, elapsed_s: float, rest_s: float, later_s: float, worst_w: float | None) -> float:
    """The mean power to ask of the whole running interval, of which `given_wh` have been given in `elapsed_s`.

    `available_wh` is what the battery can give (AC) until the event's end, `later_s` the time of the event after this interval,
    and `worst_w` what the poorest interval so far was given though the battery carried all its load; None where there was none.
    """
    interval_s = elapsed_s + rest_s
    if interval_s < SHORTEST_S:
        return 0.0
    whole_wh = max(0.0, available_wh + given_wh)
    even_w = whole_wh * 3600.0 / (interval_s + later_s)
    held_back_w = even_w if worst_w is None else min(even_w, worst_w)
    return max(0.0, (whole_wh * 3600.0 - held_back_w * later_s) / interval_s)


def worst_w(before: Interval) -> float | None:
    """The poorest load-bound interval up to `before`, which is over."""
    poorest_w = inf if before.worst_w is None else before.worst_w
    whole_s = (before.end - before.start).total_seconds()
    if before.elapsed_s >= 0.5 * whole_s > 0.0 and before.avoided_wh >= THROUGHOUT * before.load_wh:
        poorest_w = min(poorest_w, max(0.0, before.avoided_wh) * 3600.0 / before.elapsed_s)
    return None if poorest_w == inf else poorest_w
