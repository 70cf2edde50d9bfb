"""A power station whose report has frozen: fresh time stamps, old figures. Pure.

Two signs, each of what must have moved had the report been alive:

- the load went over to the battery, or back, or a charge began or ended, and `AFTER_SWITCHING_S` later every figure is still as before;
- by the meters more than `SOC_MISSED_PCT` of the battery flowed, and the state of charge has not moved at all (some power stations tell
  whole per cents, and hold on to 100 % for a while). At 200 W from 1152 Wh this shows after 15 min; the floor is missed by no more.

After the first sign the whole report counts as silence, after the second its state of charge as unknown, until a figure moves. A relay's
meter needs no such watch: the guard doubts a power that does not follow its relay, and the bridge calls it a welded contact.
"""

from dataclasses import dataclass, replace

from services.core.battery import TAPER_FROM_PCT, Battery
from services.core.readings import BatteryReading

AFTER_SWITCHING_S = 45.0
"""Real seconds; and no sooner than three polls after."""
SOC_MISSED_PCT = 5.0
MOVING_W = 30.0
"""A load that small may hide in the rounding."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The last report that moved, and what should have moved it since."""

    report: BatteryReading
    relays: tuple[bool | None, bool | None]
    """P1 and P2, when it was first seen."""
    switched_at_s: float | None = None
    """Real seconds at which they were first seen otherwise, with something to be seen for it."""
    soc_pct: float | None = None
    flowed_wh: float = 0.0
    """Into (positive) or out of the battery since the state of charge last moved."""
    dead: bool = False
    """Nothing in it has moved since the relays were switched: it counts as silence."""
    soc_stuck: bool = False
    """Its state of charge is not believed."""


def watch(
    before: Watched | None,
    report: BatteryReading,
    *,
    p1_on: bool | None,
    p2_on: bool | None,
    load_w: float | None,
    net_w: float,
    monotonic_s: float,
    station_s: float,
    poll_s: float,
    battery: Battery,
) -> Watched:
    """After a cycle. `net_w` is what the meters say flows into the battery, `station_s` the station seconds since the last cycle."""
    relays = (p1_on, p2_on)
    if before is None or report != before.report:
        flowed_wh = 0.0 if before is None or report.soc_pct != before.soc_pct else before.flowed_wh + net_w * station_s / 3600.0
        return Watched(report, relays, soc_pct=report.soc_pct, flowed_wh=flowed_wh, soc_stuck=_stuck(report.soc_pct, flowed_wh, battery))
    now = replace(before, flowed_wh=before.flowed_wh + net_w * station_s / 3600.0)
    seen = None not in relays and None not in before.relays and relays != before.relays and report.ac_out_w is not None
    if not seen:
        now = replace(now, switched_at_s=None)
    elif now.switched_at_s is None and load_w is not None and load_w > MOVING_W:
        now = replace(now, switched_at_s=monotonic_s)
    if now.switched_at_s is not None and monotonic_s - now.switched_at_s >= max(AFTER_SWITCHING_S, 3.0 * poll_s):
        return replace(now, dead=True)
    return replace(now, soc_stuck=_stuck(now.soc_pct, now.flowed_wh, battery))


def _stuck(soc_pct: float | None, flowed_wh: float, battery: Battery) -> bool:
    # At its ends it has every reason to stand still.
    at_an_end = soc_pct is None or (flowed_wh > 0.0 and soc_pct >= TAPER_FROM_PCT) or (flowed_wh < 0.0 and soc_pct <= 1.0)
    return not at_an_end and 100.0 * abs(flowed_wh) / battery.capacity_wh >= SOC_MISSED_PCT
