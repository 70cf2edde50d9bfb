"""The decision: phase, guard, memory. Pure, deterministic and total; live, backtest and tests call this one function."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from services.controller import curtail, guard, normal, ongoing, recharge, resting, upcoming, waking
from services.controller.model import Decision, Interval, Memory, Phase, Proposal, Settings, Snapshot
from services.controller.observe import learn, step_s, watch
from services.controller.reasons import Reason
from services.controller.view import View, resolve, trusted
from services.core.events import EventStatus
from services.core.modes import Mode


def decide(snapshot: Snapshot, memory: Memory, settings: Settings, now: datetime) -> Decision:
    """What to command now, and why, for any snapshot, missing and stale data included.

    `now` is station time. The decision carries the memory for the next one.
    """
    if memory.mode not in settings.allowed:
        # The station was configured anew since that was commanded.
        memory = replace(memory, mode=settings.board.safe_mode)
    view = resolve(snapshot, settings)
    dt_s = step_s(memory, now)
    lowest = guard.lowest_pct(snapshot.preferences.backup_reserve_pct, settings)
    observer = watch(memory, view, now, settings)
    view = trusted(view, observer, settings)
    # In the order of its fields: names cost as much again, and one is made at every step of a backtest.
    before = Memory(
        memory.at,
        memory.mode,
        memory.switching,
        learn(memory.learned, view, memory, now, dt_s, settings),
        memory.interval,
        memory.suspension,
        _ease_until(memory, snapshot, now, settings),
        memory.charging,
        memory.low,
        memory.p1_astray_since_s,
        memory.contradiction,
        observer,
        recharge.follow(memory, snapshot, view, now, dt_s, settings),
        memory.woken_at,
    )
    phase, proposal, interval = _propose(snapshot, view, before, now, dt_s, lowest, settings)
    proposal = resting.adapted(proposal, snapshot.event, view, before, now, lowest, settings)
    verdict = guard.check(proposal, view, before, now, lowest, settings)
    woken_at = now if verdict.reason.code == "waking" and waking.may_begin(before, now) else before.woken_at
    after = Memory(
        now,
        verdict.mode,
        guard.switched(before.switching, before.mode, verdict.mode, now, settings),
        before.learned,
        interval,
        verdict.suspension,
        before.ease_until,
        proposal.mode is Mode.GRID_AND_CHARGE and not proposal.blind,
        verdict.low,
        verdict.p1_astray_since_s,
        verdict.contradiction,
        observer,
        before.recharge,
        woken_at,
    )
    event_id = snapshot.event.id if snapshot.event is not None else None
    return Decision(
        verdict.mode, phase, verdict.reason, after, view.mode_confirmed, proposal.goal_w, proposal.duty, event_id, proposal.next_change
    )


def _propose(
    snapshot: Snapshot, view: View, memory: Memory, now: datetime, dt_s: float, lowest: float, settings: Settings
) -> tuple[Phase, Proposal, Interval | None]:
    event = snapshot.event
    phase: Phase = "normal" if event is None else "ongoing" if event.status is EventStatus.ONGOING else "upcoming"
    if snapshot.override is not None and now < snapshot.override.until:
        manual = snapshot.override
        return phase, Proposal(manual.mode, Reason("manual", (manual.until,)), next_change=manual.until), memory.interval
    if event is None:
        return phase, normal.propose(snapshot, view, memory, now, lowest, settings), None
    if phase == "upcoming":
        return phase, upcoming.propose(event, snapshot, view, memory, now, lowest, settings), None
    proposal, interval = ongoing.propose(event, snapshot, view, memory, now, dt_s, lowest, settings)
    proposal, interval = curtail.instead(proposal, interval, event, snapshot, view, memory, now, dt_s, settings)
    return phase, proposal, interval


def _ease_until(memory: Memory, snapshot: Snapshot, now: datetime, settings: Settings) -> datetime | None:
    """When the easing back after an event ends, where one begins or goes on."""
    interval, until = memory.interval, memory.ease_until
    if interval is not None and now >= interval.end and (snapshot.event is None or snapshot.event.id != interval.event_id):
        # Only an event that ran to its end eases back; whoever cancels or opts out wants the grid now.
        return interval.end + ease_delay(interval.event_id, settings)
    return None if until is not None and now >= until + settings.control.recharge_after else until


def ease_delay(event_id: str, settings: Settings) -> timedelta:
    """One delay per event and station, evenly spread over the configured span, so that stations do not act in step.

    A digest stands in for a random draw: the same after a restart, different at every station.
    """
    digest = hashlib.sha256(f"{settings.station}/{event_id}".encode()).digest()
    return settings.control.ease_back * (int.from_bytes(digest[:4], "big") / 2**32)
