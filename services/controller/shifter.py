"""Shifting's shell: commands the deferrable loads, and tells what became of them."""

from collections.abc import Mapping
from datetime import datetime, tzinfo

from services.bus import contract
from services.bus.client import Bus
from services.bus.messages.devices import LoadShift, RelayCommand
from services.controller.model import Decision
from services.controller.shifting import ShiftMemory, ShiftSettings, plan
from services.core.config.station import Station
from services.core.events import Event
from services.core.goals import Method
from services.core.loads import LoadSeen, Shift, ShiftRules
from services.core.modes import Mode

HOLD_S = 30.0
"""Real seconds after the last renewal at which the bridge gives a load its power back (design section 5)."""
TELL_STEP_WH = 5.0
"""A load's energy is told in steps of so much."""


class Shifter:
    """The deferrable loads of one station."""

    def __init__(self, station: Station, bus: Bus) -> None:
        self._bus = bus
        self._settings = ShiftSettings(
            station.station,
            {
                name: ShiftRules(load.longest_off, load.off_within, load.resume_within)
                for name, load in station.loads.items()
                if name not in station.always_on
            },
        )
        self._commanded: dict[str, str] = {}
        self._told: dict[str, tuple[object, ...]] = {}

    def shift(
        self,
        event: Event | None,
        reason_code: str,
        seen: Mapping[str, LoadSeen],
        memory: ShiftMemory,
        now: datetime,
        clock: datetime,
        *,
        renewing: bool,
    ) -> ShiftMemory:
        """Decide at `now`, then command and tell, stamped with `clock`. `renewing`: repeat the standing wishes, too."""
        if not self._settings.rules:
            return memory
        wishes, memory = plan(event, reason_code, seen, memory, self._settings, now)
        for name, on in wishes.items():
            shift = memory.shifts[name]
            # The same after a restart: a renewal must not look like a new wish.
            command_id = f"{name}-{shift.off_at:%Y%m%dT%H%M%S.%f}-{'on' if on else 'off'}"
            if renewing or self._commanded.get(name) != command_id:
                self._commanded[name] = command_id
                reason = f"event {shift.event_id}: {'over for this load' if on else 'shifted'}"
                command = RelayCommand(ts=clock, on=on, command_id=command_id, hold_s=HOLD_S, reason=reason)
                self._bus.publish(contract.LOAD_COMMAND, command, load=name)
        for name, shift in memory.shifts.items():
            self._tell(name, shift, clock)
        return memory

    def words(self, memory: ShiftMemory, zone: tzinfo) -> list[str]:
        """What is being shifted, for a person."""
        return [
            f"{name} is off until {shift.resume_at.astimezone(zone):%H:%M}" for name, shift in memory.shifts.items() if shift.stage == "off"
        ]

    def acting(self, decision: Decision, memory: ShiftMemory) -> tuple[Method, ...]:
        """The methods by which the event is answered now."""
        if decision.event_id is None:
            return ()
        modes = {Mode.BATTERY: Method.REPLACEMENT, Mode.ALL_OFF: Method.CURTAILMENT} if decision.phase == "ongoing" else {}
        shifted = any(shift.stage == "off" for shift in memory.shifts.values())
        return tuple([modes[decision.mode]] if decision.mode in modes else []) + ((Method.SHIFTING,) if shifted else ())

    def _tell(self, name: str, shift: Shift, clock: datetime) -> None:
        news = (
            shift.event_id, shift.stage, shift.resume_at, shift.note, shift.deferred_wh // TELL_STEP_WH, shift.resumed_wh // TELL_STEP_WH,
        )  # fmt: skip
        if self._told.get(name) == news:
            return
        self._told[name] = news
        self._bus.publish(
            contract.LOAD_SHIFT,
            LoadShift(
                ts=clock,
                event_id=shift.event_id,
                stage=shift.stage,
                off_at=shift.off_at,
                resume_at=shift.resume_at,
                before_w=shift.before_w,
                deferred_wh=shift.deferred_wh,
                resumed_wh=shift.resumed_wh,
                shifted_wh=shift.shifted_wh,
                note=shift.note,
            ),
            load=name,
        )
