"""How a duty becomes few long blocks on a relay with a dwell: one block an interval, at its beginning. Pure."""

SHORTEST_BLOCK_S = 60.0
"""Even without a dwell a block shorter than this is not worth two switchings of the relay."""


def on_battery(*, now_on: bool, duty: float, rest_s: float, dwell_s: float, last: bool) -> bool:
    """Whether the load belongs on the battery now.

    A block begins when at least half of the shortest block is still owed (the error of rounding is then the
    least), and ends when nothing is owed. Where the rest of the interval is shorter than the dwell the block
    runs on into the next interval, which gets the surplus credited; the event's last interval has no next.
    """
    owed_s = duty * rest_s
    if now_on:
        return owed_s > 0.0 or (not last and rest_s < dwell_s)
    return owed_s >= max(dwell_s, SHORTEST_BLOCK_S) / 2.0
