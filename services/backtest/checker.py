"""What must never happen, checked step by step against what was seen, what was commanded, and the simulated truth.

Written from the design's safety rules, and not from the guard's code: it shares with it only the readings and the settings. For a
transfer switch that prefers the grid.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import NamedTuple

from services.controller.model import Settings, Snapshot
from services.core.modes import Mode
from services.core.readings import Observed, PowerReading

P1_OPEN = frozenset({Mode.ALL_OFF, Mode.BATTERY_AND_CHARGE, Mode.CHARGE_ONLY, Mode.BATTERY})
P2_CLOSED = frozenset({Mode.GRID_AND_CHARGE, Mode.BATTERY_AND_CHARGE, Mode.CHARGE_ONLY})
ON_BATTERY = frozenset({Mode.BATTERY, Mode.BATTERY_AND_CHARGE})
NO_VOLTAGE = 50.0
CARRIES_W = 5.0
RATING_SLACK = 1.001
"""A mean of a step may round above what was read."""
HYSTERESIS_PCT = 5.0
"""So near above the lowest a hurried return to the grid still counts as caused by it."""


class Violation(NamedTuple):
    """A rule that was broken, when, and how."""

    rule: str
    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One decision, with all that it should be judged by."""

    at: datetime
    """Station time, as the controller was told."""
    elapsed_s: float
    """True seconds since the run began: no clock step is in it."""
    seen: Snapshot
    mode: Mode
    true_soc_pct: float
    """Before the step that followed."""
    truthful: bool
    """Until now no device has lied: whatever was read was true, or missing."""


class Checker:
    """Told each moment in turn, it finds what is wrong. `settings` and `lowest_pct` are what was promised."""

    def __init__(self, settings: Settings, lowest_pct: float) -> None:
        self._settings = settings
        self._lowest_pct = lowest_pct
        self._mode = Mode.GRID
        self._p1_at: tuple[float, datetime] | None = None
        self._p2_at: tuple[float, datetime] | None = None
        self._opened_on: dict[object, int] = {}

    def check(self, now: Moment) -> list[Violation]:
        """What is wrong with the decision at `now`."""
        found = [Violation(rule, now.at, what) for rule, what in self._broken(now)]
        before, self._mode = self._mode, now.mode
        if (before in P1_OPEN) != (now.mode in P1_OPEN):
            self._p1_at = (now.elapsed_s, now.at)
            day = now.at.astimezone(self._settings.zone).date()
            self._opened_on[day] = self._opened_on.get(day, 0) + 1
        if (before in P2_CLOSED) != (now.mode in P2_CLOSED):
            self._p2_at = (now.elapsed_s, now.at)
        return found

    def _broken(self, now: Moment) -> Iterator[tuple[str, str]]:
        if self._dark(now.seen):
            # With the grid out there is no other source: the battery holds the load, whatever its charge.
            return
        if now.mode in ON_BATTERY:
            yield from self._battery(now)
        opens = now.mode in P1_OPEN and self._mode not in P1_OPEN
        if opens:
            yield from self._opening(now)
        yield from self._dwell(now)
        if now.mode in P2_CLOSED and self._mode not in P2_CLOSED:
            yield from self._charging(now)

    def _battery(self, now: Moment) -> Iterator[tuple[str, str]]:
        """Floor, reserve and rating while the load is to hang on the battery."""
        soc_pct = self._soc_pct(now.seen)
        if soc_pct is not None and soc_pct < self._lowest_pct:
            yield "floor", f"on battery at {soc_pct:.2f} % as read, lowest {self._lowest_pct:g} %"
        elif now.truthful and now.true_soc_pct < self._lowest_pct - 1.0:
            yield "floor", f"on battery at {now.true_soc_pct:.2f} % in truth, lowest {self._lowest_pct:g} %"
        rating_w = self._settings.battery.inverter_w
        p3_w = self._power(now.seen.p3, self._settings.control.battery_stale_after_s)
        if p3_w is not None and p3_w > rating_w * RATING_SLACK:
            yield "rating", f"stays on battery though P3 shows {p3_w:.0f} W, rated {rating_w:.0f} W"
        if not self._alive(now.seen):
            yield "p3", "on battery though nothing fresh says that P3 is alive"

    def _opening(self, now: Moment) -> Iterator[tuple[str, str]]:
        limit_s = self._settings.control.stale_after_s
        p1_w = self._power(now.seen.p1, limit_s)
        p3_w = self._power(now.seen.p3, self._settings.control.battery_stale_after_s)
        if p1_w is None or p3_w is None:
            yield "rating", "P1 opens though the load is unknown"
        elif p1_w + p3_w > self._settings.battery.inverter_w * RATING_SLACK:
            yield "rating", f"P1 opens onto a load of {p1_w + p3_w:.0f} W, rated {self._settings.battery.inverter_w:.0f} W"
        day = now.at.astimezone(self._settings.zone).date()
        if self._opened_on.get(day, 0) + 2 > self._settings.switchings_per_day:
            yield "cap", f"P1 opens after {self._opened_on[day]} switchings of this day"

    def _dwell(self, now: Moment) -> Iterator[tuple[str, str]]:
        """Both ways; a return to the grid may be sooner for a cause of safety, and a charge may always end."""
        dwell_s = self._settings.dwell_s
        was, opened = self._mode in P1_OPEN, now.mode in P1_OPEN
        if was != opened and self._p1_at is not None and (held_s := self._held_s(self._p1_at, now)) < dwell_s:
            if opened:
                yield "dwell", f"P1 opens after {held_s:.0f} s of {dwell_s:.0f}"
            elif not self._cause(now):
                yield "dwell", f"P1 closes after {held_s:.0f} s of {dwell_s:.0f} without a cause of safety"
        starts = now.mode in P2_CLOSED and self._mode not in P2_CLOSED
        # Towards a load whose P1 does not close, charging is the rescue, and may start at once.
        if starts and self._p2_at is not None and (held_s := self._held_s(self._p2_at, now)) < dwell_s and not self._stuck(now.seen):
            yield "dwell", f"P2 closes after {held_s:.0f} s of {dwell_s:.0f}"

    def _charging(self, now: Moment) -> Iterator[tuple[str, str]]:
        if self._stuck(now.seen):
            return
        limit_s, charge_w = self._settings.control.stale_after_s, self._settings.battery.charge_w
        p1_w, p2_w = self._power(now.seen.p1, limit_s), self._power(now.seen.p2, limit_s)
        if now.mode in P1_OPEN:
            # The load leaves the circuit as the charge comes.
            p1_w = 0.0
        if p1_w is None or p2_w is None:
            yield "circuit", "charging begins though P1 or P2 is unknown"
        elif p1_w + charge_w > self._settings.circuit_limit_w * RATING_SLACK:
            yield "circuit", f"charging at {charge_w:.0f} W begins with {p1_w:.0f} W on P1, limit {self._settings.circuit_limit_w:.0f} W"

    def _held_s(self, since: tuple[float, datetime], now: Moment) -> float:
        """The longer of true and station time: a clock that stepped on has, for all the controller can tell, waited."""
        station_s = (now.at - since[1]).total_seconds()
        return max(now.elapsed_s - since[0], station_s) if station_s >= 0.0 else float("inf")

    def _cause(self, now: Moment) -> bool:
        """Whether what is seen is a cause of safety to give the load back to the grid at once."""
        seen = now.seen
        soc_pct, relay = self._soc_pct(seen), seen.p1_relay
        p3_w = self._power(seen.p3, self._settings.control.battery_stale_after_s)
        p1_w = self._power(seen.p1, self._settings.control.stale_after_s)
        relay_state = relay.within(self._settings.control.stale_after_s) if relay is not None else None
        return (
            soc_pct is None
            or soc_pct <= self._lowest_pct + HYSTERESIS_PCT
            or not self._alive(seen)
            or p3_w is None
            or p3_w > self._settings.battery.inverter_w
            or relay_state is None
            or relay_state.on is not False
            or relay_state.fault is not None
            or relay_state.timer_fired
            or (seen.p3_relay is not None and (seen.p3_relay.value.on is not True or seen.p3_relay.age_s > 0.0))
            or p1_w is None
            # Said to be open, and yet it carries: a welded contact, or a meter that lies.
            or p1_w > CARRIES_W
        )

    def _stuck(self, seen: Snapshot) -> bool:
        return self._mode not in P1_OPEN and seen.p1_relay is not None and seen.p1_relay.value.on is False

    def _soc_pct(self, seen: Snapshot) -> float | None:
        battery = seen.battery
        if battery is None or not 0.0 <= battery.age_s <= self._settings.control.battery_stale_after_s:
            return None
        pct = battery.value.soc_pct
        return pct if pct is not None and 0.0 <= pct <= 100.0 else None

    def _power(self, observed: Observed[PowerReading] | None, limit_s: float) -> float | None:
        if observed is None or not 0.0 <= observed.age_s <= limit_s:
            return None
        power_w = observed.value.power_w
        return power_w if power_w is not None and isfinite(power_w) else None

    def _alive(self, seen: Snapshot) -> bool:
        """Voltage at P3, or the AC output on, within two polls; eco mode off."""
        within_s = self._settings.alive_within_s
        battery = seen.battery.value if seen.battery is not None and 0.0 <= seen.battery.age_s <= within_s else None
        if battery is not None and battery.eco_mode:
            return False
        if battery is not None and battery.ac_output_on is not None:
            return battery.ac_output_on
        meter = seen.p3.value if seen.p3 is not None and 0.0 <= seen.p3.age_s <= within_s else None
        return meter is not None and meter.voltage_v is not None and isfinite(meter.voltage_v) and meter.voltage_v >= NO_VOLTAGE

    def _dark(self, seen: Snapshot) -> bool:
        """Both grid-side devices silent or without voltage."""
        return all(self._no_voltage(observed) for observed in (seen.p1, seen.p2))

    def _no_voltage(self, observed: Observed[PowerReading] | None) -> bool:
        if observed is None or not 0.0 <= observed.age_s <= self._settings.control.stale_after_s:
            return True
        return observed.value.voltage_v is not None and observed.value.voltage_v < NO_VOLTAGE
