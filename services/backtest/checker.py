"""What must never happen, checked step by step against what was seen, what was commanded, and the simulated truth.

Written from the design's safety rules, and not from the guard's code: it shares with it only the readings and the settings, and has
a table of its own (`Kind`) of what each mode means on each kind of hardware.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import NamedTuple

from services.controller.model import Settings, Snapshot
from services.core.modes import AtsPriority, Mode
from services.core.readings import Observed, PowerReading, RelayState

OFF_GRID = frozenset({Mode.ALL_OFF, Mode.BATTERY_AND_CHARGE, Mode.CHARGE_ONLY, Mode.BATTERY})
"""In these modes the load does not hang on the grid, on any hardware."""
CHARGING = frozenset({Mode.GRID_AND_CHARGE, Mode.BATTERY_AND_CHARGE, Mode.CHARGE_ONLY})
ON_BATTERY = frozenset({Mode.BATTERY, Mode.BATTERY_AND_CHARGE})
NO_VOLTAGE = 50.0
CARRIES_W = 5.0
RATING_SLACK = 1.001
"""A mean of a step may round above what was read."""
HYSTERESIS_PCT = 5.0
"""So near above the lowest a hurried return to the grid still counts as caused by it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of station moves its load with."""

    relay: str
    """The relay that moves the load."""
    off_grid: bool
    """How it stands while the load is off the grid."""
    modes: frozenset[int]
    """What the hardware can do."""
    grid_meter: str
    """Where power from the grid to the load is measured."""

    @classmethod
    def of(cls, settings: Settings) -> "Kind":
        """The kind of a station, from what hardware it has."""
        hardware = settings.hardware
        switched = {0, 4} if hardware.p3_actuator else set()
        if hardware.p1_inside:
            return cls("p2_relay", False, frozenset({1, 5} | switched), "p2")
        modes = frozenset({1, 2, 5} | switched | (set() if hardware.passthrough else {3}))
        if hardware.ats_priority is AtsPriority.INVERTER:
            return cls("p3_relay", True, modes, "p1")
        return cls("p1_relay", False, modes, "p1")


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
        self._kind = Kind.of(settings)
        self._lowest_pct = lowest_pct
        self._mode = Mode.GRID_AND_CHARGE if settings.hardware.p1_inside else Mode.GRID
        self._p1_at: tuple[float, datetime] | None = None
        self._p2_at: tuple[float, datetime] | None = None
        self._opened_on: dict[object, int] = {}

    def check(self, now: Moment) -> list[Violation]:
        """What is wrong with the decision at `now`."""
        found = [Violation(rule, now.at, what) for rule, what in self._broken(now)]
        before, self._mode = self._mode, now.mode
        if (before in OFF_GRID) != (now.mode in OFF_GRID):
            self._p1_at = (now.elapsed_s, now.at)
            day = now.at.astimezone(self._settings.zone).date()
            self._opened_on[day] = self._opened_on.get(day, 0) + 1
        if (before in CHARGING) != (now.mode in CHARGING):
            self._p2_at = (now.elapsed_s, now.at)
        return found

    def _broken(self, now: Moment) -> Iterator[tuple[str, str]]:
        if now.mode not in self._kind.modes:
            yield "mode", f"mode {int(now.mode)} is not possible here"
        if self._dark(now.seen):
            # With the grid out there is no other source: the battery holds the load, whatever its charge.
            return
        if now.mode in ON_BATTERY:
            yield from self._battery(now)
        opens = now.mode in OFF_GRID and self._mode not in OFF_GRID
        if opens:
            yield from self._opening(now)
        elif now.mode in ON_BATTERY and self._mode in OFF_GRID - ON_BATTERY:
            yield "rating", "the battery takes a load that was off, and that nobody has seen"
        yield from self._dwell(now)
        # With P1 inside the charge comes with the load's return to the grid, which is never refused.
        if now.mode in CHARGING and not self._settings.hardware.p1_inside:
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
        p1_w = 0.0 if self._settings.hardware.p1_inside else self._power(now.seen.p1, limit_s)
        p3_w = self._power(now.seen.p3, self._settings.control.battery_stale_after_s)
        if p1_w is None or p3_w is None:
            yield "rating", "the load leaves the grid though the load is unknown"
        elif p1_w + p3_w > self._settings.battery.inverter_w * RATING_SLACK:
            yield "rating", f"the battery takes a load of {p1_w + p3_w:.0f} W, rated {self._settings.battery.inverter_w:.0f} W"
        day = now.at.astimezone(self._settings.zone).date()
        if self._opened_on.get(day, 0) + 2 > self._settings.switchings_per_day:
            yield "cap", f"the load leaves the grid after {self._opened_on[day]} switchings of this day"

    def _dwell(self, now: Moment) -> Iterator[tuple[str, str]]:
        """Both ways; a return to the grid may be sooner for a cause of safety, and a charge may always end."""
        dwell_s = self._settings.dwell_s
        was, opened = self._mode in OFF_GRID, now.mode in OFF_GRID
        if was != opened and self._p1_at is not None and (held_s := self._held_s(self._p1_at, now)) < dwell_s:
            if opened:
                yield "dwell", f"the load leaves the grid after {held_s:.0f} s of {dwell_s:.0f}"
            elif not self._cause(now):
                yield "dwell", f"the load returns to the grid after {held_s:.0f} s of {dwell_s:.0f} without a cause of safety"
        starts = now.mode in CHARGING and self._mode not in CHARGING and not self._settings.hardware.p1_inside
        # For a load that does not come back to the grid, charging is the rescue, and may start at once.
        if starts and self._p2_at is not None and (held_s := self._held_s(self._p2_at, now)) < dwell_s and not self._stuck(now.seen):
            yield "dwell", f"P2 closes after {held_s:.0f} s of {dwell_s:.0f}"

    def _charging(self, now: Moment) -> Iterator[tuple[str, str]]:
        if self._stuck(now.seen):
            return
        limit_s, charge_w, limit_w = self._settings.control.stale_after_s, self._settings.battery.charge_w, self._settings.circuit_limit_w
        p1_w, p2_w = self._power(now.seen.p1, limit_s), self._power(now.seen.p2, limit_s)
        if now.mode in OFF_GRID:
            # The load leaves the circuit as the charge comes.
            p1_w = 0.0
        elif self._mode in ON_BATTERY and p1_w is not None:
            # The load comes back to it.
            p1_w += self._power(now.seen.p3, self._settings.control.battery_stale_after_s) or 0.0
        if p1_w is None or p2_w is None:
            yield "circuit", "charging though P1 or P2 is unknown"
        elif self._mode not in CHARGING and p1_w + charge_w > limit_w * RATING_SLACK:
            yield "circuit", f"charging at {charge_w:.0f} W begins with {p1_w:.0f} W on P1, limit {limit_w:.0f} W"
        elif self._mode in CHARGING and p1_w + p2_w > limit_w * RATING_SLACK and p2_w > CARRIES_W:
            yield "circuit", f"charging goes on with {p1_w:.0f} W on P1 and {p2_w:.0f} W on P2, limit {limit_w:.0f} W"

    def _held_s(self, since: tuple[float, datetime], now: Moment) -> float:
        """The longer of true and station time: a clock that stepped on has, for all the controller can tell, waited."""
        station_s = (now.at - since[1]).total_seconds()
        return max(now.elapsed_s - since[0], station_s) if station_s >= 0.0 else float("inf")

    def _cause(self, now: Moment) -> bool:
        """Whether what is seen is a cause of safety to give the load back to the grid at once."""
        seen, control = now.seen, self._settings.control
        soc_pct, relay = self._soc_pct(seen), self._relay(seen)
        p3_w = self._power(seen.p3, control.battery_stale_after_s)
        grid_w = self._power(getattr(seen, self._kind.grid_meter), control.stale_after_s)
        return (
            soc_pct is None
            or soc_pct <= self._lowest_pct + HYSTERESIS_PCT
            or not self._alive(seen)
            or p3_w is None
            or p3_w > self._settings.battery.inverter_w
            or relay is None
            or relay.on is not self._kind.off_grid
            or relay.fault is not None
            or relay.timer_fired
            or (seen.p3_relay is not None and (seen.p3_relay.value.on is not True or seen.p3_relay.age_s > 0.0))
            or grid_w is None
            # Said to be off the grid, and yet it carries: a welded contact, or a meter that lies.
            or grid_w > CARRIES_W
        )

    def _relay(self, seen: Snapshot) -> RelayState | None:
        """The relay that moves the load, if it is known."""
        observed: Observed[RelayState] | None = getattr(seen, self._kind.relay)
        slow = self._settings.output_switched and self._kind.relay == "p3_relay"
        limit_s = self._settings.control.battery_stale_after_s if slow else self._settings.control.stale_after_s
        return observed.value if observed is not None and 0.0 <= observed.age_s <= limit_s else None

    def _stuck(self, seen: Snapshot) -> bool:
        """The load was to be on the grid, and its relay does not follow."""
        observed: Observed[RelayState] | None = getattr(seen, self._kind.relay)
        return self._mode not in OFF_GRID and observed is not None and observed.value.on is self._kind.off_grid

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
        """Every grid-side device silent or without voltage; with P1 inside that is P2, and the power station's own input."""
        if self._settings.hardware.p1_inside:
            battery = seen.battery
            fresh = battery is not None and 0.0 <= battery.age_s <= self._settings.control.battery_stale_after_s
            fed = fresh and battery is not None and (battery.value.ac_in_w or 0.0) > CARRIES_W
            return not fed and self._no_voltage(seen.p2)
        return all(self._no_voltage(observed) for observed in (seen.p1, seen.p2))

    def _no_voltage(self, observed: Observed[PowerReading] | None) -> bool:
        if observed is None or not 0.0 <= observed.age_s <= self._settings.control.stale_after_s:
            return True
        return observed.value.voltage_v is not None and observed.value.voltage_v < NO_VOLTAGE
