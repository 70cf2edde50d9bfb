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
    "part_met": "event: can hold {:.0f} of {:.0f} W; battery at {:.0f} %, {} left; on the grid, the mean of this interval allows it",
    "block_waits": "event: holding {:.0f} W in the mean of this interval, the battery's turn comes later; battery at {:.0f} %, {} left",
    "switchings_spent": "event: {} of {} switchings spent: load on the grid, battery at {:.0f} %",
    "interval_met": "event: this interval's reduction of {:.0f} W is met; battery at {:.0f} %, {} left",
    "nothing_to_reduce": "event: the import is within the goal without the battery, {} left",
    "load_unknown": "the load is unknown: waiting for readings",
    "curtailed": "event: the load is off, as its person allows; {:.0f} of the {:.0f} Wh allowed in this interval are used, {} left",
    "shifting_alone": "event: answered by the deferrable loads alone, {} left",
    "method_impossible": "event: none of its methods is possible with this hardware",
    # upcoming
    "charging_for_event": "charging for event {}: {:.0f} % of {:.0f} %, starts in {}",
    "full_for_event": "ready for event {}: battery at {:.0f} %, starts in {}",
    "waiting_to_charge": "event {} starts in {}; charging begins in {}",
    "charging_in_adjustment": "charging for event {}: {:.0f} % of {:.0f} %, starts in {}; within the hours that adjust the baseline,"
    " for want of others: the settlement is flagged",
    "sparing_adjustment": "event {} starts in {}; charging waits until {}, after the hours that adjust the baseline",
    "quiet_before_event": "event {} starts in {}; nothing is charged in quiet hours",
    "busy_before_event": "event {} starts in {}; nothing is charged while another event runs",
    # normal
    "easing_back": "after the event: back to the grid in {}",
    "resting_after_event": "after the event: resting at {:.0f} %, charging again from {} at the soonest",
    "daily_discharge": "daily cycle: battery feeds the load, {:.0f} % down to {:.0f} %",
    "daily_charge": "daily cycle: charging, {:.0f} % up to {:.0f} %",
    "daily_charge_pv": "daily cycle: charging, {:.0f} % up to {:.0f} %, leaving room for {:.0f} Wh of sun",
    "resting": "resting at {:.0f} %",
    "solar_discharge": "self-consumption: battery feeds the load from the sun's energy, {:.0f} % down to {:.0f} %",
    "reserve_charge": "charging the reserve, {:.0f} % up to {:.0f} %",
    "standby_charge": "standby: charging, {:.0f} % up to {:.0f} %",
    "dear": "time of use: battery feeds the load, as {:.3f} is above {:.3f} (bought at {:.3f}, with losses and wear);"
    " {:.0f} % down to {:.0f} %",
    "cheap": "time of use: charging at {:.3f}, {:.0f} % up to {:.0f} %",
    "between_prices": "time of use: resting at {:.0f} %; the dearest price ahead is {:.3f}, worth it from {:.3f}",
    "not_worth_it": "time of use: resting at {:.0f} %; the dearest price ahead is {:.3f}, and losses and wear ask for {:.3f}",
    "quiet_hours": "resting: nothing is charged in quiet hours ({})",
    "other_event": "resting: nothing is charged during an event that waits for an answer",
    "slow_recharge": "after the event: charging waits, so that no interval rises above {:.0f} W, the highest of the week",
    "waking": "the power station does not answer: charging until {} to wake it",
    "calibrating": "full charge to calibrate the estimate: last seen full {:.0f} days ago",
    "calibrating_first": "full charge to calibrate the estimate: nothing certain is known of the state of charge",
    # stations that cannot rest
    "one_block": "event: battery at {:.0f} %, {} left, on the battery throughout, for on the grid it would be charged",
    "waits_full": "event: the full battery at {:.0f} % lasts {}, and waits until {} so that nothing is charged before the end",
    "no_cycle": "kept full for events and outages: after a discharge the grid would charge the battery at once, for P1 is inside it",
    "waits_charging": "event: the battery at {:.0f} % lasts {}, too short; being charged by the grid, it begins at {} or sooner",
    "rests_charging": "{}; P1 is inside the power station, so the grid charges the battery, too",
    # guard
    "soc_unknown": "the battery's state of charge is unknown: load on the grid",
    "lowest_reached": "battery at {:.0f} %, the lowest allowed is {:.0f} %: load on the grid",
    "p3_not_alive": "the power station's output is not proved alive: P1 stays closed",
    "deadman_unproved": "P1 stays closed until its dead-man is proved: stop the station and run sps relay verify-deadman p1",
    "p3_not_closed": "the relay at P3 is not proved closed: load on the grid",
    "p3_lost": "the power station's output went {}: P1 closed at once, paused until {}",
    "p1_unknown": "relay P1 does not answer: load on the grid",
    "p2_unknown": "relay P2 does not answer: it is left in its safe state",
    "p3_unknown": "relay P3 does not answer: load on the grid",
    "p1_astray": "P1 is closed though it was commanded open: paused until {}",
    "p2_astray": "P2 is closed though it was commanded open: paused until {}",
    "p3_astray": "P3 is open though it was commanded closed: the load is on the grid, paused until {}",
    "p2_stuck_open": "P2 does not close: the battery feeds the load and nothing charges it. Check the relay at P2",
    "p3_stuck_closed": "P3 does not open: charging, for the battery feeds the load. Check the relay at P3",
    "p1_off_but_carries": "P1 says off but carries power, a welded contact or a lying meter: load on the grid, until {} at least",
    "p2_off_but_carries": "P2 says off but carries power, a welded contact or a lying meter: load on the grid, until {} at least",
    "p3_off_but_carries": "P3 says off but carries power, a welded contact or a lying meter: load on the grid, until {} at least",
    "output_off_but_carries": "P3 carries power though the AC output is said to be off: load on the grid, until {} at least",
    "both_carry": "P1 and P3 both carry power, which no transfer switch does: load on the grid, until {} at least",
    "p1_stuck_open": "P1 does not close: charging so that the battery lasts. Check the relay at P1",
    "grid_outage": "grid outage: the battery carries the load, holding",
    "over_inverter": "load of {:.0f} W is above what the inverter may carry ({:.0f} W)",
    "over_circuit": "charging would bring the circuit to {:.0f} W, limit {:.0f} W",
    "over_transfer": "load of {:.0f} W is above the transfer limit of {:.0f} W",
    "dwell": "{}: waits {} (least time between two switchings)",
    "switching_cap": "{} switchings today, the most allowed is {}: load on the grid",
    "ats_unknown": "the transfer switch's priority is unknown, so P1 stays closed: run sps ats test",
    "reserve_reached": "battery at {:.0f} %, the backup reserve is {:.0f} %: load on the grid",
    "soc_doubtful": "the power station says {:.0f} %, its meters speak of {:.0f} %, the lowest allowed is {:.0f} %: load on the grid",
    "p2_deadman_unproved": "P2 stays closed until its dead-man is proved: stop the station and run sps relay verify-deadman p2",
    "p3_deadman_unproved": "P3 stays open until its dead-man is proved: stop the station and run sps relay verify-deadman p3",
    "mode_impossible": "mode {:d} is not possible with this hardware",
}
