"""The snapshot with freshness resolved: from here on a value is either fresh or unknown."""

from dataclasses import replace
from math import isfinite

from services.controller.model import Settings, Snapshot
from services.core.modes import Mode
from services.core.observer import Observer, cautious_pct
from services.core.positions import Position
from services.core.readings import Observed, PowerReading, RelayState
from services.core.record import record

CARRYING_W = 5.0
"""Above this a position carries load; below it is noise of the meter."""
DARK_V = 50.0
"""Below this a grid-side reading shows no grid (both 120 V and 230 V systems)."""


@record(frozen=True, slots=True)
class View:
    """What is known for certain now. None is unknown."""

    monotonic_s: float
    p1_w: float | None
    """0 where P1 lies inside the power station: all that comes in is P2, all that goes out is P3."""
    p2_w: float | None
    p3_w: float | None
    p4_w: float | None
    load_w: float | None
    """P1 + P3."""
    import_w: float | None
    """P1 + P2."""
    soc_pct: float | None
    """What the power station says; `trusted` puts the observer's lower bound in when it says nothing, or nothing credible."""
    p3_alive: bool | None
    """The AC output is on and will stay on; None while nothing fresh says so."""
    output_on: bool | None
    """The AC output carries voltage now, whether or not it will stay on."""
    p1_on: bool | None
    p2_on: bool | None
    p3_on: bool | None
    """The actuator at P3; None also where there is none."""
    transfer_on: bool | None
    """The relay that moves the load (`Switchboard.transfer`)."""
    timer_fired: bool
    """Its own dead-man timer has switched it."""
    deadman_proved: bool | None
    """Whether that timer was once proved."""
    mode_confirmed: Mode | None
    grid_dark: bool
    """Every grid-side device is silent or without voltage."""
    silent: bool
    """The bridge calls the power station silent."""
    doubted_pct: float | None = None
    """The power station's own word, where it lies outside what its meters allow; `soc_pct` is then the lower of the two."""


def resolve(snapshot: Snapshot, settings: Settings) -> View:
    """What of `snapshot` is fresh enough to act on."""
    control, hardware, board = settings.control, settings.hardware, settings.board
    limit_s, battery_limit_s = control.stale_after_s, control.battery_stale_after_s
    p1_w, p1_dark = _power(snapshot.p1, limit_s)
    p2_w, p2_dark = _power(snapshot.p2, limit_s)
    p3_w, _ = _power(snapshot.p3, battery_limit_s)
    p4_w, _ = _power(snapshot.p4, battery_limit_s)

    soc_pct = ac_in_w = None
    if snapshot.battery is not None and (reading := snapshot.battery.within(battery_limit_s)) is not None:
        soc_pct, ac_in_w = _sane(reading.soc_pct), reading.ac_in_w
        soc_pct = soc_pct if soc_pct is not None and 0.0 <= soc_pct <= 100.0 else None
    if hardware.p1_inside:
        # There is one grid-side device, and it may be silent for other reasons: power at the AC input proves the grid.
        p1_w, p1_dark = 0.0, ac_in_w is None or ac_in_w <= CARRYING_W

    p1_relay, p2_relay = _relay(snapshot.p1_relay, limit_s), _relay(snapshot.p2_relay, limit_s)
    # The power station's own output is read as seldom as the power station.
    p3_relay = _relay(snapshot.p3_relay, battery_limit_s if settings.output_switched else limit_s)
    transfer = p1_relay if board.transfer is Position.P1 else p2_relay if board.transfer is Position.P2 else p3_relay
    output_on, alive = _output(snapshot, p3_relay, settings)
    p1_on = p1_relay.on if p1_relay else None
    p2_on = p2_relay.on if p2_relay else None
    p3_on = p3_relay.on if p3_relay else None
    # In the order of their fields: names cost as much again.
    return View(
        snapshot.monotonic_s,
        p1_w,
        p2_w,
        p3_w,
        p4_w,
        None if p1_w is None or p3_w is None else p1_w + p3_w,
        None if p1_w is None or p2_w is None else p1_w + p2_w,
        soc_pct,
        alive,
        output_on,
        p1_on,
        p2_on,
        p3_on,
        transfer.on if transfer else None,
        transfer is not None and transfer.timer_fired,
        transfer.deadman_proved if transfer else None,
        board.mode_at(p1_on, p2_on, p3_on),
        p1_dark and p2_dark,
        snapshot.silent,
    )


def trusted(view: View, observer: Observer, settings: Settings) -> View:
    """`view` with the state of charge to decide by: the power station's word, unless it is missing or its meters contradict it."""
    if view.soc_pct is not None and observer.doubt_s <= 0.0:
        return view
    low_pct = cautious_pct(observer, settings.battery)
    if view.soc_pct is None or low_pct is None:
        return replace(view, soc_pct=low_pct if view.soc_pct is None else view.soc_pct)
    return replace(view, soc_pct=min(view.soc_pct, low_pct), doubted_pct=view.soc_pct)


def _power(observed: Observed[PowerReading] | None, limit_s: float) -> tuple[float | None, bool]:
    """Power in watts, and whether the position is dark: silent, or without voltage."""
    # `Observed.within`, written out: four positions are read at every decision.
    if observed is None or not 0.0 <= observed.age_s <= limit_s:
        return None, True
    reading = observed.value
    power_w, voltage_v = reading.power_w, reading.voltage_v
    return power_w if power_w is not None and isfinite(power_w) else None, voltage_v is not None and voltage_v < DARK_V


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
    if settings.hardware.inverter_first:
        # There an open relay at P3 is the rest, and its meter stands before the contact.
        return carries, carries
    # Behind an open relay the voltage ends at its contact.
    return carries, carries and not (p3_relay is not None and p3_relay.on is False)


def _sane(value: float | None) -> float | None:
    """`value`, unless it is not a number: then it is unknown."""
    return value if value is not None and isfinite(value) else None


def _relay(observed: Observed[RelayState] | None, limit_s: float) -> RelayState | None:
    return observed.within(limit_s) if observed is not None else None
