"""What the devices report, and what they are told."""

from typing import Literal

from pydantic import Field, StrictBool

from services.bus.messages.base import Command, Percent, Telemetry, Utc


class PositionReading(Telemetry):
    """Power at P1 to P4. Null is unknown, never zero."""

    power_w: float | None
    """Positive in the direction of the position's name."""
    voltage_v: float | None = None
    current_a: float | None = None
    energy_wh: float | None = None
    """The device's running counter; it may reset."""
    device: str
    """Which device measured it."""


class BatteryReadingMessage(Telemetry):
    """What the power station says of itself. Null is unknown."""

    soc_pct: Percent | None
    ac_in_w: float | None = None
    ac_out_w: float | None = None
    dc_in_w: float | None = None
    dc_out_w: float | None = None
    ac_output_on: bool | None = None
    eco_mode: bool | None = None
    device: str


class BatteryLink(Telemetry):
    """The way to the power station: whether it answers, how well it is heard, and why it did not answer last."""

    available: bool
    """Whether the last attempt to read it succeeded."""
    silent: bool
    """It has not answered for longer than `battery.silent_after_s`: asleep, out of reach, or hung. Charging may wake it."""
    silent_s: float = Field(ge=0)
    """Real seconds since the last answer, or since the bridge started."""
    failures: int = Field(default=0, ge=0)
    """Failed attempts since the last answer."""
    last_failure: str | None = None
    """Why the last failed attempt failed; it stays when the power station answers again. Null: none failed."""
    last_failure_at: Utc | None = None
    rssi_dbm: float | None = None
    """How strongly it was heard last; null over a way without radio."""
    device: str


class BatteryEstimate(Telemetry):
    """The controller's view of the state of charge, with its uncertainty."""

    soc_pct: Percent
    low: Percent
    high: Percent


class RelayCommand(Command):
    """An absolute wish for one relay, renewed while it stands."""

    ts: Utc
    on: StrictBool
    command_id: str = Field(min_length=1, max_length=64)
    """New for each wish; the same for its renewals."""
    hold_s: float = Field(gt=0, le=600)
    """Real seconds after the last renewal at which the bridge lets go and takes the safe state."""
    reason: str = Field(default="", max_length=400)


class LoadShift(Telemetry):
    """`load/<name>/shift`: what the controller does with a deferrable load, and what it came to. Null is unknown."""

    event_id: str
    stage: Literal["off", "resuming", "resumed", "left"]
    """`off`: held off by us. `resuming`: switched on, not yet confirmed. `resumed`: has its power back. `left`: not ours to switch."""
    off_at: Utc
    resume_at: Utc
    """When it gets, or got, its power back."""
    before_w: float | None
    """What it drew just before it was switched off."""
    deferred_wh: float
    """`before_w` over the time that it was off: an estimate of what it would have drawn."""
    resumed_wh: float
    """Measured at its meter since it resumed, for as long as it had been off."""
    shifted_wh: float
    """The lesser of the two: the energy that moved out of the event."""
    note: str = ""
    """Why it is left alone."""


class RelayStateMessage(Telemetry):
    """A relay after read-back. `on` is null while nothing certain is known."""

    on: bool | None
    confirmed_by: Literal["readback", "power"] | None = None
    """`power`: besides the read-back, power is about zero when off."""
    command_id: str | None = None
    """The last wish that was carried out; null when the bridge or the device acted by itself."""
    timer_s: float | None = None
    """What is left on the device's own dead-man timer; null when none runs."""
    timer_fired: bool = False
    """The device's own dead-man timer has switched it, against the standing wish."""
    by_hand: bool = False
    """A deferrable load only: somebody switched it at the device, against the standing wish, which is given up."""
    deadman_proved: bool | None = None
    """Whether the device was once seen to flip back by itself; null for one that the person says has no timer."""
    fault: str | None = None
    """In words: not answering, a welded contact, a timer that fired."""
