"""A house with faults, between the simulated plant and the controller: what it does, and what it says."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from services.controller.model import BaselineSpan, ManualMode, Settings, Snapshot
from services.core.events import Event
from services.core.modes import RELAYS, Mode
from services.core.preferences import Preferences
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState
from services.simulator.plant import Flows, PlantInputs

LIES = frozenset({"frozen_p1", "frozen_p3", "frozen_soc", "jump_p1", "jump_p3", "jump_soc", "negative_p3", "p1_claims_open"})
KINDS = (
    *sorted(LIES),
    "silent_p1", "silent_p2", "silent_p3", "silent_battery", "silent_relays", "nan_p1", "nan_p3", "nan_soc", "inf_p3", "eco",
    "output_off", "grid_out", "p1_stays_closed", "p1_stays_open", "p1_timer", "relay_fault", "clock_ahead", "clock_back", "heavy_load",
)  # fmt: skip
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
        self._p1_on, self._p2_on, self._p3_on = True, False, True
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
        has, relays = self._active(elapsed_s), RELAYS[mode]
        if "p1_stays_closed" in has or "p1_timer" in has:
            self._p1_on = True
        elif "p1_stays_open" not in has or relays.p1 is False:
            self._p1_on = bool(relays.p1)
        self._p2_on = bool(relays.p2)
        self._p3_on = bool(relays.p3) or not self._settings.hardware.p3_actuator
        load_w = self._load_w(elapsed_s) * (6.0 if "heavy_load" in has else 1.0)
        return PlantInputs(self._p1_on, self._p2_on, "output_off" not in has, load_w, 0.0, "grid_out" not in has, self._p3_on)

    def _active(self, elapsed_s: float) -> dict[str, Fault]:
        return {fault.kind: fault for fault in self._faults if fault.begin_s <= elapsed_s < fault.end_s}

    def snapshot(
        self, flows: Flows, elapsed_s: float, preferences: Preferences, event: Event | None, override: ManualMode | None
    ) -> Snapshot:
        """What the controller is told."""
        has, settings = self._active(elapsed_s), self._settings
        battery = self._battery(flows, elapsed_s, has)
        p1_on = False if "p1_claims_open" in has else self._p1_on
        fault = "no answer" if "relay_fault" in has else None
        relays_age_s = 120.0 if "silent_relays" in has else 0.0
        p3_relay = Observed(RelayState(self._p3_on), relays_age_s) if settings.hardware.p3_actuator else None
        baseline: tuple[BaselineSpan, ...] = ()
        if event is not None and elapsed_s % 7.0 < 4.0:
            # It comes and goes, and is sometimes no figure at all.
            watts = ODD[int(elapsed_s) % len(ODD)] if has else 300.0
            baseline = (BaselineSpan(event.start, event.end, watts),)
        return Snapshot(
            monotonic_s=elapsed_s,
            preferences=preferences,
            p1=self._power("p1", flows.p1_w, flows.grid_v, elapsed_s, has),
            p2=self._power("p2", flows.p2_w, flows.grid_v, elapsed_s, has),
            p3=self._power("p3", flows.p3_w, flows.p3_v, elapsed_s, has),
            p4=self._power("p4", flows.p4_w, None, elapsed_s, has),
            battery=battery,
            p1_relay=Observed(RelayState(p1_on, fault, "p1_timer" in has), relays_age_s),
            p2_relay=Observed(RelayState(self._p2_on), relays_age_s),
            p3_relay=p3_relay,
            event=event,
            baseline=baseline,
            override=override,
            silent="silent_battery" in has,
        )

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
        return Observed(BatteryReading(soc_pct, ac_output_on=flows.ac_output_on, eco_mode="eco" in has), age_s)

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
