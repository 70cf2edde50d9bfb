"""A policy over a whole trace: every day of it, every event, decided step by step as live."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import nan
from typing import NamedTuple

import numpy as np

from services.backtest.checker import Checker, Moment, Violation
from services.backtest.loop import Scenario, Step, simulate
from services.backtest.optimum import Task, maximin, most, with_dwell
from services.backtest.policies import POLICIES
from services.backtest.score import Interval, Score
from services.backtest.trace import Trace
from services.controller.guard import lowest_pct
from services.controller.model import Settings
from services.core.config.station import Station
from services.core.events import Event
from services.simulator.plant import PlantParameters, PlantState

OURS = "ours"
NAMES = (OURS, *POLICIES)
MARGIN = timedelta(hours=1)
"""How much before and after an event is kept for its picture."""
SAMPLE_S = 60.0
FIRST_SOC_PCT = 60.0
TOLD_EVERY = 4096


class Sample(NamedTuple):
    """One minute around an event, for its picture."""

    at: datetime
    load_w: float
    import_w: float
    battery_w: float
    soc_pct: float


class Told(NamedTuple):
    """A decision that differs from the one before, with what went with it."""

    at: datetime
    phase: str
    mode: int
    code: str
    reason: str
    goal_w: float | None
    duty: float | None
    soc_pct: float


@dataclass(frozen=True, slots=True)
class Held:
    """One event as one policy held it."""

    event: Event
    score: Score
    samples: tuple[Sample, ...]
    decisions: tuple[Told, ...]
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class Contest:
    """What all policies are given alike."""

    station: Station
    trace: Trace
    events: tuple[Event, ...]
    step_s: float
    optimum: bool = True
    dwell_limit_s: float = 0.0
    """Seconds an event that the optimum with dwell may take; 0 leaves it out."""


def hold(contest: Contest, policy: str, progress: Callable[[float], None] = lambda _: None) -> tuple[Held, ...]:
    """Run `policy` (one of NAMES) over the trace. `progress` is told the share done."""
    station, trace, events = contest.station, contest.trace, contest.events
    settings = Settings.of(station)
    run = Scenario(
        parameters=PlantParameters.of(station),
        settings=settings,
        preferences=station.preferences.preferences(),
        load_w=trace.profile(trace.load_w),
        pv_w=_without_gaps(trace.profile(trace.pv_w)),
        start=trace.start,
        end=min(trace.end, events[-1].end + MARGIN) if events else trace.end,
        step_s=contest.step_s,
        events=events,
        policy=POLICIES.get(policy),
    )
    lowest = lowest_pct(station.preferences.backup_reserve_pct, settings)
    watchers = [_Watcher(event, contest) for event in events]
    checker = Checker(settings, lowest)
    begin_s, soc_pct, first = run.start.timestamp(), FIRST_SOC_PCT, 0
    for count, step in enumerate(simulate(run, PlantState.initial(run.parameters, soc_pct=FIRST_SOC_PCT))):
        found = checker.check(Moment(step.at, step.at.timestamp() - begin_s, step.snapshot, step.decision.mode, soc_pct, truthful=True))
        while first < len(watchers) and step.at >= watchers[first].event.end + MARGIN:
            first += 1
        for watcher in watchers[first : first + 2]:
            watcher.see(step, soc_pct, found)
        soc_pct = step.flows.soc_pct
        if count % TOLD_EVERY == 0:
            progress((step.at - run.start) / (run.end - run.start))
    held = tuple(watcher.held(lowest) for watcher in watchers)
    progress(1.0)
    return held


def task(contest: Contest, event: Event, soc_pct: float, lowest: float) -> Task:
    """`event` for the optimum, from the state of charge that the policy had at its start."""
    settings, trace = Settings.of(contest.station), contest.trace
    battery = settings.battery
    load_w, pv_w = trace.profile(trace.load_w), trace.profile(trace.pv_w)
    middles = [
        event.start + timedelta(seconds=(i + 0.5) * SAMPLE_S) for i in range(int((event.end - event.start).total_seconds() // SAMPLE_S))
    ]
    return Task(
        load_w=np.nan_to_num(np.array([load_w(at) for at in middles])),
        step_s=SAMPLE_S,
        interval_s=settings.interval.total_seconds(),
        available_wh=max(0.0, battery.capacity_wh * (soc_pct - lowest) / 100.0),
        room_wh=battery.capacity_wh * (100.0 - lowest) / 100.0,
        inverter_w=battery.inverter_w,
        idle_w=battery.idle_w,
        discharge_efficiency=battery.discharge_efficiency,
        charge_efficiency=battery.charge_efficiency,
        pv_w=np.nan_to_num(np.array([pv_w(at) for at in middles])) if trace.pv_w is not None else None,
    )


class _Watcher:
    """Adds one event up while the run goes by it."""

    def __init__(self, event: Event, contest: Contest) -> None:
        self.event = event
        self._contest = contest
        self._interval = Settings.of(contest.station).interval
        count = -(-(event.end - event.start) // self._interval)
        self._sums = [[0.0, 0.0, 0.0, 0.0] for _ in range(count)]
        self._operations, self._on = 0, False
        self._start_soc_pct: float | None = None
        self._end_soc_pct = nan
        self._samples: list[Sample] = []
        self._decisions: list[Told] = []
        self._violations: list[Violation] = []

    def see(self, step: Step, soc_pct: float, violations: Sequence[Violation]) -> None:
        event, flows, hours = self.event, step.flows, self._contest.step_s / 3600.0
        if not event.start - MARGIN <= step.at < event.end + MARGIN:
            return
        import_w = flows.p1_w + flows.p2_w
        if not self._samples or (step.at - self._samples[-1].at).total_seconds() >= SAMPLE_S:
            self._samples.append(Sample(step.at, nan if step.gap else flows.load_w, import_w, flows.p3_w, flows.soc_pct))
        if not event.start <= step.at < event.end:
            return
        if self._start_soc_pct is None:
            self._start_soc_pct = soc_pct
        self._end_soc_pct = flows.soc_pct
        self._violations += violations
        on = step.on_battery
        self._operations += on != self._on
        self._on = on
        self._tell(step, soc_pct)
        if not step.gap:
            sums = self._sums[(step.at - event.start) // self._interval]
            for i, value in enumerate((flows.load_w, flows.p3_w - flows.p2_w, import_w, 1.0)):
                sums[i] += value * hours

    def _tell(self, step: Step, soc_pct: float) -> None:
        decision = step.decision
        last = self._decisions[-1] if self._decisions else None
        if last is not None and (last.mode, last.code) == (int(decision.mode), decision.reason.code):
            return
        text = decision.reason.text(self._contest.station.zone)
        self._decisions.append(
            Told(step.at, decision.phase, int(decision.mode), decision.reason.code, text, decision.goal_w, decision.duty, soc_pct)
        )

    def held(self, lowest: float) -> Held:
        event, contest = self.event, self._contest
        spans = [min(event.start + (i + 1) * self._interval, event.end) - event.start - i * self._interval for i in range(len(self._sums))]
        intervals = tuple(
            Interval(span.total_seconds() / 3600.0, load, avoided, imported, known / (span.total_seconds() / 3600.0))
            for span, (load, avoided, imported, known) in zip(spans, self._sums, strict=True)
        )
        start_soc_pct = self._start_soc_pct if self._start_soc_pct is not None else nan
        score = Score(event.id, event.goal, intervals, self._operations + self._on, start_soc_pct, self._end_soc_pct, len(self._violations))
        if contest.optimum:
            asked = task(contest, event, start_soc_pct, lowest)
            score = replace(score, best_least_wh=maximin(asked).objective_wh, best_total_wh=most(asked).objective_wh)
            if contest.dwell_limit_s > 0.0:
                best = with_dwell(asked, contest.station.limits.dwell_s, limit_s=contest.dwell_limit_s)
                score = replace(score, dwell_least_wh=best.objective_wh)
        return Held(event, score, tuple(self._samples), tuple(self._decisions), tuple(self._violations))


def _without_gaps(profile: Callable[[datetime], float]) -> Callable[[datetime], float]:
    """A panel of which nothing is known gives nothing."""

    def at(when: datetime) -> float:
        power_w = profile(when)
        return power_w if power_w == power_w else 0.0  # noqa: PLR0124 - NaN is what differs from itself

    return at
