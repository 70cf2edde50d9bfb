"""The snapshot with freshness resolved: from here on a value is either fresh or unknown."""

from math import isfinite
from typing import NamedTuple

from services.controller.model import Settings, Snapshot
from services.core.modes import Mode, Relays, mode_of
from services.core.readings import Observed, PowerReading, RelayState

CARRYING_W = 5.0
"""Above this a position carries load; below it is noise of the meter."""
DARK_V = 50.0
"""Below this a grid-side reading shows no grid (both 120 V and 230 V systems)."""


class View(NamedTuple):
    """What is known for certain now. None is unknown."""

    monotonic_s: float
    p1_w: float | None
    p2_w: float | None
    p3_w: float | None
    p4_w: float | None
    load_w: float | None
    """P1 + P3."""
    import_w: float | None
    """P1 + P2."""
    soc_pct: float | None
    """What the power station says; `decide` puts the observer's lower bound in when it says nothing."""
    p3_alive: bool | None
    """The AC output is on and will stay on; None while nothing fresh says so."""
    output_on: bool | None
    """The AC output carries voltage now, whether or not it will stay on."""
    p1_on: bool | None
    p2_on: bool | None
    p3_on: bool | None
    """The relay at P3; None also where there is none."""
    p1_timer_fired: bool
    p1_deadman_proved: bool | None
    mode_confirmed: Mode | None
    grid_dark: bool
    """Both grid-side devices are silent or without voltage."""
    silent: bool
    """The bridge calls the power station silent."""


def resolve(snapshot: Snapshot, settings: Settings) -> View:
    """What of `snapshot` is fresh enough to act on."""
    limit_s = settings.control.stale_after_s
    p1_w, p1_dark = _power(snapshot.p1, limit_s)
    p2_w, p2_dark = _power(snapshot.p2, limit_s)
    battery_limit_s = settings.control.battery_stale_after_s
    p3_w, _ = _power(snapshot.p3, battery_limit_s)
    p4_w, _ = _power(snapshot.p4, battery_limit_s)

    soc_pct = None
    if snapshot.battery is not None and (reading := snapshot.battery.within(battery_limit_s)) is not None:
        soc_pct = _sane(reading.soc_pct)

    p1_relay, p2_relay = _relay(snapshot.p1_relay, limit_s), _relay(snapshot.p2_relay, limit_s)
    p3_relay = _relay(snapshot.p3_relay, limit_s)
    output_on, alive = _output(snapshot, p3_relay, settings)
    p1_on = p1_relay.on if p1_relay else None
    p2_on = p2_relay.on if p2_relay else None
    p3_on = p3_relay.on if p3_relay else None
    relays = Relays(p1_on, p2_on, p3_on)
    return View(
        monotonic_s=snapshot.monotonic_s,
        p1_w=p1_w,
        p2_w=p2_w,
        p3_w=p3_w,
        p4_w=p4_w,
        load_w=None if p1_w is None or p3_w is None else p1_w + p3_w,
        import_w=None if p1_w is None or p2_w is None else p1_w + p2_w,
        soc_pct=soc_pct,
        p3_alive=alive,
        output_on=output_on,
        p1_on=p1_on,
        p2_on=p2_on,
        p3_on=p3_on,
        p1_timer_fired=p1_relay is not None and p1_relay.timer_fired,
        p1_deadman_proved=p1_relay.deadman_proved if p1_relay else None,
        mode_confirmed=mode_of(relays, p3_switchable=settings.hardware.p3_actuator),
        grid_dark=p1_dark and p2_dark,
        silent=snapshot.silent,
    )


def _power(observed: Observed[PowerReading] | None, limit_s: float) -> tuple[float | None, bool]:
    """Power in watts, and whether the position is dark: silent, or without voltage."""
    reading = observed.within(limit_s) if observed is not None else None
    if reading is None:
        return None, True
    return _sane(reading.power_w), reading.voltage_v is not None and reading.voltage_v < DARK_V


def _output(snapshot: Snapshot, p3_relay: RelayState | None, settings: Settings) -> tuple[bool | None, bool | None]:
    """Whether the AC output carries voltage, and whether P3 is alive: it does, will go on to, and reaches the load.

    The power station's word counts before the voltage at P3, which only a meter of its own there can tell.
    """
    within_s = settings.alive_within_s
    battery = snapshot.battery.within(within_s) if snapshot.battery is not None else None
    if battery is not None and battery.ac_output_on is not None:
        # In eco mode the output switches itself off at low load: on now is no promise.
        return battery.ac_output_on, battery.ac_output_on and not battery.eco_mode
    meter = snapshot.p3.within(within_s) if snapshot.p3 is not None else None
    voltage_v = _sane(meter.voltage_v) if meter is not None else None
    if voltage_v is None:
        return None, None
    carries = voltage_v >= DARK_V
    if battery is not None and battery.eco_mode:
        return carries, False
    # Behind an open relay the voltage ends at its contact.
    return carries, carries and not (p3_relay is not None and p3_relay.on is False)


def _sane(value: float | None) -> float | None:
    """`value`, unless it is not a number: then it is unknown."""
    return value if value is not None and isfinite(value) else None


def _relay(observed: Observed[RelayState] | None, limit_s: float) -> RelayState | None:
    return observed.within(limit_s) if observed is not None else None
