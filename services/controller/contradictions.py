"""Readings that cannot all be true: which they are, and since when. Pure.

Readings are taken one after the other, and a transfer lies between two of them: only what stands for a while counts.
"""

from services.controller.model import Contradiction, Memory, Settings
from services.controller.view import View

CARRIES_W = 20.0
"""Above this something flows for certain, whatever a meter's offset."""
STANDS_S = 15.0
"""Real seconds that readings of one device must contradict each other: several polls and one retry."""


def seen(view: View, memory: Memory, settings: Settings) -> Contradiction | None:
    """The contradiction in `view`, with the time since when it stands; None while there is none."""
    code = _code(view, settings)
    if code is None:
        return None
    before = memory.contradiction
    since_s = before.since_s if before is not None and before.code == code else view.monotonic_s
    return Contradiction(code, min(since_s, view.monotonic_s))


def stands(contradiction: Contradiction | None, view: View, settings: Settings) -> bool:
    """Whether it has stood long enough to be acted on: two devices have to be given the time of the slower one's polls."""
    if contradiction is None:
        return False
    slow_s = settings.control.battery_stale_after_s if contradiction.code in _OF_TWO_DEVICES else 0.0
    return view.monotonic_s - contradiction.since_s >= STANDS_S + slow_s


_OF_TWO_DEVICES = frozenset({"both_carry", "output_off_but_carries"})


def _code(view: View, settings: Settings) -> str | None:
    p1_w, p2_w, p3_w = view.p1_w, view.p2_w, view.p3_w
    if view.p1_on is False and p1_w is not None and p1_w > CARRIES_W:
        return "p1_off_but_carries"
    if view.p2_on is False and p2_w is not None and p2_w > CARRIES_W:
        return "p2_off_but_carries"
    if p3_w is None or p3_w <= CARRIES_W:
        return None
    if view.p3_on is False and not settings.output_switched:
        return "p3_off_but_carries"
    if view.output_on is False:
        return "output_off_but_carries"
    # A transfer switch connects the load to one of its inputs.
    return "both_carry" if p1_w is not None and p1_w > CARRIES_W else None
