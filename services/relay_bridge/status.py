"""What a relay says of itself, whatever its make."""

from dataclasses import dataclass

_TIMER_SLACK_S = 1.5
"""Devices state the start of a timer in whole or half seconds."""


@dataclass(frozen=True, slots=True)
class Status:
    """One read-back. None is unknown, except for the timer."""

    on: bool
    power_w: float | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    energy_wh: float | None = None
    """The device's running counter; it may reset."""
    temperature_c: float | None = None
    timer_s: float | None = None
    """Real seconds until the device flips by itself (an upper bound for a timer not set by us); None: no timer runs."""


def discrepancy(status: Status, *, on: bool, timer_s: float | None) -> str | None:
    """How the read-back `status` differs from what was set, in words; None when it does not."""
    if status.on != on:
        return f"is {word(status.on)} though {word(on)} was set"
    if timer_s is None:
        return None if status.timer_s is None else f"is {word(on)}, but its timer still runs"
    if status.timer_s is None:
        return f"is {word(on)}, but runs no timer"
    if abs(status.timer_s - timer_s) > _TIMER_SLACK_S:
        return f"is {word(on)}, but its timer has {status.timer_s:.0f} s left instead of {timer_s:.0f} s"
    return None


def word(on: bool) -> str:
    """`on` or `off`."""
    return "on" if on else "off"
