"""Reasons as data: a stable code with its figures, and the words only when somebody reads them."""

from datetime import datetime, timedelta, tzinfo
from typing import Annotated, NamedTuple, Union

from pydantic import Field

Value = Annotated[Union[float, datetime, timedelta, "Reason", str], Field(union_mode="left_to_right")]
"""A figure, time or word in a reason; tried in this order when a state file is read back."""


class Reason(NamedTuple):
    """Why a decision is as it is. `code` is stable for programs; `text()` is for a person."""

    code: str
    values: tuple[Value, ...] = ()

    def text(self, zone: tzinfo) -> str:
        """The reason in words, times as local ones of `zone`."""
        return _WORDS[self.code].format(*(_word(value, zone) for value in self.values))


def _word(value: Value, zone: tzinfo) -> float | str:
    if isinstance(value, Reason):
        return value.text(zone)
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%H:%M}"
    return span(value) if isinstance(value, timedelta) else value


def span(length: timedelta) -> str:
    """A length of time in words: '1 h 10 min', '4 min', '20 s'."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 60.0:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60.0), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


_WORDS = {
    "manual": "manual mode until {}",
    # ongoing
    "holding": "event: battery at {:.0f} %, {} left, holding {:.0f} W",
    "holding_part": "event: can hold {:.0f} of {:.0f} W; battery at {:.0f} %, {} left",
    "interval_met": "event: this interval's reduction of {:.0f} W is met; battery at {:.0f} %, {} left",
    "nothing_to_reduce": "event: the import is within the goal without the battery, {} left",
    "load_unknown": "the load is unknown: waiting for readings",
    "method_impossible": "event: none of its methods is possible with this hardware",
    # upcoming
    "charging_for_event": "charging for event {}: {:.0f} % of {:.0f} %, starts in {}",
    "full_for_event": "ready for event {}: battery at {:.0f} %, starts in {}",
    "waiting_to_charge": "event {} starts in {}; charging begins in {}",
    # normal
    "easing_back": "after the event: back to the grid in {}",
    "resting_after_event": "after the event: resting at {:.0f} %, charging again from {} at the soonest",
    "daily_discharge": "daily cycle: battery feeds the load, {:.0f} % down to {:.0f} %",
    "daily_charge": "daily cycle: charging, {:.0f} % up to {:.0f} %",
    "daily_charge_pv": "daily cycle: charging, {:.0f} % up to {:.0f} %, leaving room for {:.0f} Wh of sun",
    "resting": "daily cycle: resting at {:.0f} %",
    "waking": "the power station does not answer: charging until {} to wake it",
    "calibrating": "full charge to calibrate the estimate: last seen full {:.0f} days ago",
    "calibrating_first": "full charge to calibrate the estimate: nothing certain is known of the state of charge",
    # guard
    "soc_unknown": "the battery's state of charge is unknown: load on the grid",
    "lowest_reached": "battery at {:.0f} %, the lowest allowed is {:.0f} %: load on the grid",
    "p3_not_alive": "the power station's output is not proved alive: P1 stays closed",
    "deadman_unproved": "P1 stays closed until its dead-man is proved: stop the station and run sps relay verify-deadman p1",
    "p3_not_closed": "the relay at P3 is not proved closed: load on the grid",
    "p3_lost": "the power station's output went {}: P1 closed at once, paused until {}",
    "p1_unknown": "relay P1 does not answer: load on the grid",
    "p1_astray": "P1 is closed though it was commanded open: paused until {}",
    "p1_stuck_open": "P1 does not close: charging so that the battery lasts. Check the relay at P1",
    "grid_outage": "grid outage: the battery carries the load, holding",
    "over_inverter": "load of {:.0f} W is above what the inverter may carry ({:.0f} W)",
    "over_circuit": "charging would bring the circuit to {:.0f} W, limit {:.0f} W",
    "over_transfer": "load of {:.0f} W is above the transfer limit of {:.0f} W",
    "dwell": "{}: waits {} (least time between two switchings)",
    "switching_cap": "{} switchings today, the most allowed is {}: load on the grid",
    "mode_impossible": "mode {:d} is not possible with this hardware",
}
