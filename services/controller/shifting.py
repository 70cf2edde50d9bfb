"""Method shifting: deferrable loads are off during an event and resume after it. Pure.

Beside the modes, not one of them: a load has a relay of its own. What a person does at the device wins over everything here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.core.events import Event, EventStatus
from services.core.goals import Method
from services.core.loads import LoadSeen, Shift, ShiftRules, stagger

LONGEST_STEP_S = 300.0
"""A reading stands for at most this long a step; what lies beyond is unknown."""
SHORT = frozenset({
    "ats_unknown", "curtailed", "deadman_unproved", "holding_part", "load_unknown", "lowest_reached", "method_impossible",
    "mode_impossible", "over_inverter", "over_transfer", "p1_astray", "p1_unknown", "p3_lost", "p3_not_alive", "p3_not_closed",
    "part_met", "reserve_reached", "soc_doubtful", "soc_unknown", "switching_cap", "switchings_spent",
})  # fmt: skip
"""Reasons of a decision that mean: the battery alone does not meet the goal."""
BY_HAND = "somebody switched it at the device: left alone for this event"
WAS_OFF = "it was off already: left as it was found"
TIMER = "its own timer switched it on: left on for this event"


@dataclass(frozen=True, slots=True)
class ShiftMemory:
    """What shifting carries from one cycle to the next; it survives a restart."""

    at: datetime | None = None
    helping: str | None = None
    """The event in which shifting helps; once it does it does so to the event's end, for the relays' sake."""
    shifts: Mapping[str, Shift] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShiftSettings:
    """What does not change while the controller runs."""

    station: str
    rules: Mapping[str, ShiftRules]
    """By load; what must always be on is not among them."""


Wishes = Mapping[str, bool]
"""The commanded state by load; no entry means that nothing is wished, and the load is its person's."""


def plan(
    event: Event | None, reason_code: str, seen: Mapping[str, LoadSeen], memory: ShiftMemory, settings: ShiftSettings, now: datetime
) -> tuple[Wishes, ShiftMemory]:
    """What to wish of each load now. `reason_code` is that of the decision on the mode, which tells whether the battery suffices.

    `seen` holds what is fresh; a load that is not in it is unknown and not switched off.
    """
    helping = memory.helping
    if event is None or helping != event.id:
        helping = event.id if event is not None and _helps(event, reason_code) else None
    dt_s = 0.0 if memory.at is None else min(max(0.0, (now - memory.at).total_seconds()), LONGEST_STEP_S)
    shifts: dict[str, Shift] = {}
    wishes: dict[str, bool] = {}
    for name, rules in settings.rules.items():
        load = seen.get(name, LoadSeen())
        shift = memory.shifts.get(name)
        if shift is not None:
            shift = _moved_on(shift, event, load, rules, settings.station, name, now, dt_s)
        if event is not None and helping == event.id and (shift is None or shift.event_id != event.id):
            # What an earlier event still holds off goes on being off, now for this one.
            shift = _begun(event, load, rules, settings.station, name, now, shift) or shift
        if shift is not None:
            shifts[name] = shift
            if shift.stage in ("off", "resuming"):
                wishes[name] = shift.stage == "resuming"
    return wishes, ShiftMemory(now, helping, shifts)


def _helps(event: Event, reason_code: str) -> bool:
    """Whether it is shifting's turn in the order of the event's methods."""
    if Method.SHIFTING not in event.methods:
        return False
    if event.methods[0] is Method.SHIFTING:
        return True
    return event.status is EventStatus.ONGOING and reason_code in SHORT


def _begun(event: Event, load: LoadSeen, rules: ShiftRules, station: str, name: str, now: datetime, before: Shift | None) -> Shift | None:
    if not event.start - stagger(rules.off_within, station, event.id, name, "off") <= now < event.end or load.on is None:
        return None
    if before is not None and before.stage == "off":
        # Held off since then, so that two events in a row do not add up to more than the person allows.
        return replace(before, event_id=event.id, event_end=event.end, resume_at=_resume_at(event, before.off_at, rules, station, name))
    if not load.on:
        return None if before is not None and before.stage == "resuming" else Shift(event.id, "left", now, now, event.end, note=WAS_OFF)
    return Shift(event.id, "off", now, _resume_at(event, now, rules, station, name), event.end, load.power_w)


def _resume_at(event: Event, off_at: datetime, rules: ShiftRules, station: str, name: str) -> datetime:
    return min(event.end + stagger(rules.resume_within, station, event.id, name, "on"), off_at + rules.longest_off)


def _moved_on(
    shift: Shift, event: Event | None, load: LoadSeen, rules: ShiftRules, station: str, name: str, now: datetime, dt_s: float
) -> Shift | None:
    """The shift after a cycle; None when it is over and told."""
    mine = event is not None and event.id == shift.event_id
    if event is not None and mine and event.end != shift.event_end:
        # Amended while it runs.
        shift = replace(shift, event_end=event.end, resume_at=_resume_at(event, shift.off_at, rules, station, name))
    if shift.stage == "off":
        if load.by_hand:
            return replace(shift, stage="left", note=BY_HAND)
        if load.timer_fired:
            return replace(shift, stage="left", note=TIMER)
        if load.on is False and shift.before_w is not None:
            shift = replace(shift, deferred_wh=shift.deferred_wh + shift.before_w * dt_s / 3600.0)
        called_off = not mine and now < shift.event_end
        # A clock that was set back must not hold a load off for as long as the step.
        if called_off or now >= shift.resume_at or now < shift.off_at - timedelta(seconds=LONGEST_STEP_S):
            return replace(shift, stage="resuming", resume_at=min(now, shift.resume_at))
        return shift
    if shift.stage == "resuming":
        if load.by_hand:
            return replace(shift, stage="left", note=BY_HAND)
        return replace(shift, stage="resumed", resumed_at=now) if load.on else shift
    if shift.stage == "resumed" and shift.resumed_at is not None and now < shift.resumed_at + (shift.resume_at - shift.off_at):
        return replace(shift, resumed_wh=shift.resumed_wh + (load.power_w or 0.0) * dt_s / 3600.0)
    return shift if mine or now < shift.event_end else None
