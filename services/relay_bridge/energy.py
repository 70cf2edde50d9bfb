"""A device's energy counter made monotone. Pure.

Counters start again: a Gen1 Shelly's at every power cut, any device's when somebody resets it; one that wraps looks the same. A
counter that was saved a minute before a power cut comes back a little lower. What is published never falls and never leaps: after a
fall it goes on from where it stood, plus what the counter has counted from zero if so much can have flowed, else plus nothing. So it
may miss what flowed between the last poll and the reset, and never invents any. It lives as long as the bridge; a restart begins
with the device's own figure.
"""

from dataclasses import dataclass

MOST_W = 20_000.0
"""No relay here carries more."""
_SLACK_WH = 10.0
"""Meters tell their counter in steps, and the poll's time is not the reading's."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one counter said last."""

    raw_wh: float
    """The device's own figure."""
    total_wh: float
    """Ours."""
    at: float
    """When, in seconds that flow as energy does."""


def count(before: Counted | None, raw_wh: float, at: float) -> Counted:
    """After the counter said `raw_wh` at `at`."""
    if before is None:
        return Counted(raw_wh, raw_wh, at)
    step_wh = raw_wh - before.raw_wh if raw_wh >= before.raw_wh else raw_wh
    if step_wh > MOST_W * max(0.0, at - before.at) / 3600.0 + _SLACK_WH:
        step_wh = 0.0
    return Counted(raw_wh, before.total_wh + step_wh, at)
