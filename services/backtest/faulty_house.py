"""A house with faults, between the simulated plant and the controller: what it does, and what it says."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from services.controller.model import BaselineSpan, ManualMode, Settings, Snapshot
from services.core.events import Event
from services.core.loads import LoadSeen
from services.core.modes import Mode
from services.core.positions import Position
from services.core.preferences import Preferences
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState
from services.simulator.plant import Flows, PlantInputs

LIES = frozenset({"frozen_p1", "frozen_p3", "frozen_soc", "jump_p1", "jump_p3", "jump_soc", "negative_p3", "claims_off_grid"})
KINDS = (
    *sorted(LIES),
    "silent_p1", "silent_p2", "silent_p3", "silent_battery", "silent_relays", "nan_p1", "nan_p3", "nan_soc", "inf_p3", "eco",
    "output_off", "grid_out", "stays_on_grid", "stays_off_grid", "timer", "relay_fault", "clock_ahead", "clock_back", "heavy_load",
    "reboot", "load_by_hand", "load_silent", "load_timer",
)  # fmt: skip
"""`claims_off_grid`, `stays_…` and `timer` are of the relay that moves the load, whichever that is; `load_…` of the deferrable loads."""
ODD = (float("nan"), float("inf"), float("-inf"), -500.0, 1e9)
"""Baselines that nobody should send."""


class Fault(NamedTuple):
    """Something that is wrong for a while."""

    kind: str
    begin_s: float
    end_s: float
    value: float


class FaultyHouse:
    """The house between plant and controller: what it does, and what it says."""

    def __init__(self, settings: Settings, begin: datetime, load_w: Callable[[float], float], faults: tuple[Fault, ...]) -> None:
        self._settings, self._begin, self._load_w, self._faults = settings, begin, load_w, faults
        board = settings.board
        self._on = {each: board.safe(each) for each in (Position.P1, Position.P2, Position.P3)}
        self._told: dict[str, float] = {}
        """The last true figures, at which a frozen reading stands."""

    def now(self, elapsed_s: float) -> datetime:
        """What the clock says."""
        shift_s = 0.0
        for fault in self._faults:
            if fault.kind == "clock_ahead" and fault.begin_s <= elapsed_s:
                shift_s += fault.value * 10_800.0
            elif fault.kind == "clock_back" and fault.begin_s <= elapsed_s:
                shift_s -= fault.value * 10_800.0
        return self._begin + timedelta(seconds=elapsed_s + shift_s)

    def inputs(self, mode: Mode, elapsed_s: float) -> PlantInputs:
        """What acts on the plant after the command `mode`."""
        has, board, settings = self._active(elapsed_s), self._settings.board, self._settings
        safe = board.safe(board.transfer)
        for position in self._on:
            wanted = bool(board.relays[mode].at(position))
            if position is board.transfer and ("stays_on_grid" in has or "timer" in has):
                wanted = safe
            elif position is board.transfer and "stays_off_grid" in has and self._on[position] is not safe:
                wanted = not safe
            self._on[position] = wanted
        if not settings.hardware.p3_actuator:
            self._on[Position.P3] = True
        p3_on = self._on[Position.P3]
        load_w = self._load_w(elapsed_s) * (6.0 if "heavy_load" in has else 1.0)
        return PlantInputs(
            p1_on=self._on[Position.P1] and not settings.hardware.p1_inside,
            p2_on=self._on[Position.P2],
            p3_on="output_off" not in has and (p3_on or not settings.output_switched),
            load_w=load_w,
            pv_w=0.0,
            grid_ok="grid_out" not in has,
            p3_closed=p3_on or settings.output_switched,
        )

    def monotonic_s(self, elapsed_s: float) -> float:
        """The real clock, which begins anew when the computer does."""
        booted_s = max((fault.begin_s for fault in self._faults if fault.kind == "reboot" and fault.begin_s <= elapsed_s), default=0.0)
        return elapsed_s - booted_s

    def loads(self, wishes: Mapping[str, bool], names: Collection[str], elapsed_s: float) -> dict[str, LoadSeen]:
        """The deferrable loads `names`, after the wishes of the last cycle."""
        has = self._active(elapsed_s)
        by_hand, fired = "load_by_hand" in has, "load_timer" in has
        if "load_silent" in has:
            return {}
        seen = {}
        for name in names:
            against = not wishes.get(name, True) and (by_hand or fired)
            on = True if against else wishes.get(name, True)
            seen[name] = LoadSeen(on, 300.0 if on else 0.0, by_hand=against and by_hand, timer_fired=against and not by_hand)
        return seen

    def _active(self, elapsed_s: float) -> dict[str, Fault]:
        return {fault.kind: fault for fault in self._faults if fault.begin_s <= elapsed_s < fault.end_s}

    def snapshot(
        self, flows: Flows, elapsed_s: float, preferences: Preferences, event: Event | None, override: ManualMode | None
    ) -> Snapshot:
        """What the controller is told."""
        has, settings = self._active(elapsed_s), self._settings
        battery = self._battery(flows, elapsed_s, has)
        inside = settings.hardware.p1_inside
        switched = tuple(position for position in self._on if position is not Position.P3 or settings.hardware.p3_actuator)
        relays = {position.value: self._relay(position, has) for position in switched}
        baseline: tuple[BaselineSpan, ...] = ()
        if event is not None and elapsed_s % 7.0 < 4.0:
            # It comes and goes, and is sometimes no figure at all.
            watts = ODD[int(elapsed_s) % len(ODD)] if has else 300.0
            baseline = (BaselineSpan(event.start, event.end, watts),)
        return Snapshot(
            monotonic_s=self.monotonic_s(elapsed_s),
            preferences=preferences,
            p1=None if inside else self._power("p1", flows.p1_w, flows.grid_v, elapsed_s, has),
            p2=self._power("p2", flows.p2_w, flows.grid_v, elapsed_s, has),
            p3=self._power("p3", flows.p3_w, flows.p3_v, elapsed_s, has),
            p4=self._power("p4", flows.p4_w, None, elapsed_s, has),
            battery=battery,
            p1_relay=None if inside else relays["p1"],
            p2_relay=relays["p2"],
            p3_relay=relays.get("p3"),
            event=event,
            baseline=baseline,
            override=override,
            silent="silent_battery" in has,
        )

    def _relay(self, position: Position, has: dict[str, Fault]) -> Observed[RelayState]:
        age_s = 120.0 if "silent_relays" in has else 0.0
        board, on = self._settings.board, self._on[position]
        if position is not board.transfer:
            return Observed(RelayState(on), age_s)
        on = not board.safe(position) if "claims_off_grid" in has else on
        return Observed(RelayState(on, "no answer" if "relay_fault" in has else None, "timer" in has), age_s)

    def _battery(self, flows: Flows, elapsed_s: float, has: dict[str, Fault]) -> Observed[BatteryReading] | None:
        if not self._settings.data_link:
            return None
        soc_pct = flows.soc_pct
        if "frozen_soc" in has:
            soc_pct = self._told.get("soc", soc_pct)
        elif "jump_soc" in has:
            soc_pct = has["jump_soc"].value * 150.0 - 20.0
        elif "nan_soc" in has:
            soc_pct = float("nan")
        else:
            self._told["soc"] = soc_pct
        age_s = elapsed_s - has["silent_battery"].begin_s if "silent_battery" in has else 0.0
        told = {"ac_in_w": flows.p2_w, "ac_out_w": flows.p3_w}
        return Observed(BatteryReading(soc_pct, **told, ac_output_on=flows.ac_output_on, eco_mode="eco" in has), age_s)

    def _power(self, name: str, power_w: float, voltage_v: float | None, elapsed_s: float, has: dict[str, Fault]) -> Observed[PowerReading]:
        if f"nan_{name}" in has:
            power_w = float("nan")
        elif f"inf_{name}" in has:
            power_w = float("inf")
        elif f"negative_{name}" in has:
            power_w = -power_w - 50.0
        elif f"jump_{name}" in has:
            power_w = power_w * 20.0 * has[f"jump_{name}"].value
        elif f"frozen_{name}" in has:
            power_w = self._told.get(name, power_w)
        else:
            self._told[name] = power_w
        age_s = elapsed_s - has[f"silent_{name}"].begin_s if f"silent_{name}" in has else 0.0
        return Observed(PowerReading(power_w, voltage_v), age_s)
