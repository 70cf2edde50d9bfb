"""Freshness as part of the type: a reading is a value with its age, and past its limit it is unknown."""

from typing import Generic, TypeVar

from services.core.record import record

T = TypeVar("T")


@record(frozen=True, slots=True)
class Observed(Generic[T]):
    """A value and how long ago it was received, in real (never scaled) seconds."""

    value: T
    age_s: float

    def within(self, limit_s: float) -> T | None:
        """The value, or None (unknown) once it is older than `limit_s`. Never the old value."""
        return self.value if 0.0 <= self.age_s <= limit_s else None


@record(frozen=True, slots=True)
class PowerReading:
    """One position's electrical reading. None is unknown, never zero."""

    power_w: float | None
    voltage_v: float | None = None
    energy_wh: float | None = None
    """The device's own running counter; it may reset."""


@record(frozen=True, slots=True)
class BatteryReading:
    """What the power station says of itself. None is unknown (no such register, or not read)."""

    soc_pct: float | None
    ac_in_w: float | None = None
    ac_out_w: float | None = None
    dc_in_w: float | None = None
    dc_out_w: float | None = None
    ac_output_on: bool | None = None
    eco_mode: bool | None = None


@record(frozen=True, slots=True)
class RelayState:
    """A relay as its device reports it, after read-back."""

    on: bool | None
    fault: str | None = None
    timer_fired: bool = False
    """The device's own dead-man timer switched it, against the standing wish."""
    deadman_proved: bool | None = None
    """Whether it was once seen to flip back by itself; None for a device that the person says has no timer."""
