"""How what is owed to a settlement interval becomes few long blocks on a relay with a dwell. Pure.

A block that begins within an interval and lasts until nothing is owed is exact, whatever the load does, if only it outlasts the dwell.
A shorter one would give too much. Laid over the border to the next interval it serves both: it begins when the rest of
the interval, at the present load, takes what is owed, and ends in the next when that one's share is met. Where the load is so high that
even the two are too little, the dwell's energy is split evenly between them; and where even this is a
larger error than giving nothing, the block waits for the load to fall.

The present load, smoothed over a minute, is the forecast. For quarters of an hour this is as good as a policy that is optimal for
the load's own statistics; what is still better knows the load in advance (`python -m tests.benchmarks.foresight`).

Stations must not act in step, so each waits for its own share (`phase`) of the time in which several times what it needs still fits,
and at least of some minutes where that is true of fewer times: the load may fall meanwhile.
"""

SHORTEST_BLOCK_S = 60.0
"""Even without a dwell a shorter block is not worth two switchings of the relay."""
OUTLASTS = 1.1
"""A block within the interval is begun when it should last so many times the dwell: loads may rise."""
CAUTION = 4.0
"""A station waits only as long as so many times what it needs would still fit in."""
SPREAD_S, HASTE = 600.0, 3.0
"""At least so long, though, as long as so many times what it needs would still fit in."""


def on_battery(
    *,
    now_on: bool,
    owed_wh: float,
    next_wh: float,
    load_w: float,
    elapsed_s: float,
    rest_s: float,
    dwell_s: float,
    last: bool,
    phase: float = 0.0,
    late: bool = False,
    scarce: bool = False,
) -> bool:
    """Whether the load belongs on the battery now; the dwell itself is the guard's.

    `owed_wh` is what the rest of the interval is still to be given, `next_wh` what the next one will ask for, `load_w` the load to expect.
    `late` keeps to what the grid may give first, and needs no forecast: for goals that bound the import. `scarce`: the load is now and then
    higher than the inverter may take over, so that a block that waits may find the way barred.
    """
    if load_w <= 0.0:
        return now_on and owed_wh > 0.0
    dwell_s = max(dwell_s, SHORTEST_BLOCK_S)
    rest_wh = load_w * rest_s / 3600.0
    if now_on:
        if owed_wh > 0.0 or last:
            return owed_wh > 0.0
        # Off now, the relay may not be on again in time for the next interval; on until then gives this one too much.
        missed_wh = next_wh - load_w * (rest_s + elapsed_s - max(0.0, dwell_s - rest_s)) / 3600.0
        return missed_wh >= rest_wh
    if owed_wh <= 0.0:
        return False
    needed_s = owed_wh * 3600.0 / load_w
    if scarce and not late and needed_s >= dwell_s / 2.0:
        # One dwell gives no more than twice what is owed: less of an error than nothing.
        return True
    if needed_s >= rest_s:
        return last or _worth_it(owed_wh, next_wh, load_w, rest_s, dwell_s)
    if not late and needed_s >= OUTLASTS * dwell_s:
        length_s = elapsed_s + rest_s
        wait_s = max(length_s - CAUTION * needed_s, min(SPREAD_S, length_s - HASTE * needed_s))
        return rest_s <= length_s - phase * wait_s
    if last or late or rest_s > max(needed_s, dwell_s / 2.0):
        return False
    return _worth_it(owed_wh, next_wh, load_w, rest_s, dwell_s)


def _worth_it(owed_wh: float, next_wh: float, load_w: float, rest_s: float, dwell_s: float) -> bool:
    """Whether a block of one dwell over the border errs less, squared over both intervals, than leaving this one out."""
    error_wh = load_w * rest_s / 3600.0 - owed_wh
    over_wh = max(0.0, load_w * (dwell_s - rest_s) / 3600.0 - next_wh)
    return error_wh**2 + over_wh**2 <= owed_wh**2
