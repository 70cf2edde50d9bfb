"""Whole days of stations whose load is moved by P2 (P1 inside) or by P3 (inverter priority), decided by the live code on the plant."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.backtest.loop import Scenario, simulate
from services.controller.model import Settings
from services.core.config.load import parse_station
from services.core.events import Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.modes import FEEDS, Feed, Mode
from services.simulator.plant import PlantParameters, PlantState

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"
STEP_S = 30.0
START = datetime(2026, 7, 1, 8, 0, tzinfo=UTC)
EVENT = Event(
    id="e1",
    revision=0,
    start=START + timedelta(hours=4),
    end=START + timedelta(hours=8),
    goal=Goal(GoalKind.MINIMIZE),
    methods=(Method.REPLACEMENT,),
    priority=0,
    status=EventStatus.SCHEDULED,
)


def a_day(name, *, load_w=100.0, soc_pct=70.0, hours=24.0, goal=None):
    station = parse_station((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    parameters, settings = PlantParameters.of(station), replace(Settings.of(station), station="same")
    scenario = Scenario(
        parameters=parameters,
        settings=settings,
        preferences=station.preferences.preferences(),
        load_w=lambda _: load_w,
        pv_w=lambda _: 0.0,
        start=START,
        end=START + timedelta(hours=hours),
        step_s=STEP_S,
        events=(replace(EVENT, goal=goal or EVENT.goal),),
    )
    return parameters, list(simulate(scenario, PlantState.initial(parameters, soc_pct=soc_pct)))


def during(steps):
    return [step for step in steps if EVENT.start <= step.at < EVENT.end]


def fed_without_a_break(parameters, steps):
    end = steps[-1].plant
    assert end.unserved_s <= (end.transfers + 1) * max(parameters.ats_gap_s, parameters.ups_gap_s) + 1e-6
    assert min(step.flows.soc_pct for step in steps) >= 20.0 - 0.2


def test_with_p1_inside_an_event_that_the_battery_lasts_for_takes_nothing_from_the_grid():
    parameters, steps = a_day("ups-inside")
    fed_without_a_break(parameters, steps)
    held = during(steps)[2:]
    assert {step.decision.mode for step in held} == {Mode.BATTERY}
    assert max(step.flows.p2_w for step in held) == 0.0
    before = next(step for step in steps if step.at >= EVENT.start)
    assert before.flows.soc_pct > 99.0, "it sits full"
    assert steps[-1].flows.soc_pct > 99.0, "and is full again"


def test_with_p1_inside_a_battery_that_does_not_last_begins_late_and_nothing_is_charged_in_the_event():
    parameters, steps = a_day("ups-inside", load_w=400.0)
    fed_without_a_break(parameters, steps)
    held = during(steps)
    modes = [step.decision.mode for step in held]
    begins = modes.index(Mode.BATTERY)
    assert 0.4 < begins / len(modes) < 0.7
    assert {step.decision.reason.code for step in held[:begins]} == {"waits_full"}
    assert set(modes[begins:-20]) == {Mode.BATTERY}, "one block"
    charged_wh = sum(max(0.0, step.flows.p2_w - step.flows.p3_w) for step in held[:-20]) * STEP_S / 3600.0
    waited_h = begins * STEP_S / 3600.0
    assert charged_wh < parameters.idle_w * waited_h / parameters.charge_efficiency + 1.0, "a full battery takes its idle draw, and no more"
    ideal_wh = 0.8 * parameters.capacity_wh * parameters.discharge_efficiency
    avoided_wh = sum(step.flows.p3_w - step.flows.p2_w for step in held) * STEP_S / 3600.0
    assert avoided_wh > 0.9 * ideal_wh


def test_with_p1_inside_a_limit_above_the_load_is_held_although_a_rest_would_charge():
    _, steps = a_day("ups-inside", goal=Goal(GoalKind.LIMIT, 150.0), soc_pct=60.0, hours=8.0)
    held = during(steps)[2:]
    assert max(step.flows.p2_w for step in held) <= 150.0


def test_with_p1_inside_there_is_no_daily_cycle_that_the_grid_would_undo_at_once():
    _, steps = a_day("ups-inside")
    evening = [step for step in steps if step.at >= EVENT.end + timedelta(hours=2)]
    assert {step.decision.mode for step in evening} == {Mode.GRID_AND_CHARGE}
    assert "no_cycle" in {step.decision.reason.code for step in evening}


@pytest.mark.parametrize("name", ["inverter-priority", "ac-output"])
def test_with_three_actuators_the_day_goes_as_on_the_ordinary_station(name):
    parameters, steps = a_day(name)
    fed_without_a_break(parameters, steps)
    _, ordinary = a_day("p3-relay")
    differing = sum(a.decision.mode is not b.decision.mode for a, b in zip(steps, ordinary, strict=True))
    assert differing <= 0.01 * len(steps)
    held = [step for step in during(steps)[2:] if step.decision.mode is Mode.BATTERY]
    assert held
    assert max(step.flows.load_w for step in held) == pytest.approx(100.0, rel=0.01)
    assert {FEEDS[mode] for mode in {step.decision.mode for step in steps}} == {Feed.GRID, Feed.BATTERY}


def test_with_inverter_priority_a_resting_battery_is_not_drained():
    _, steps = a_day("inverter-priority", hours=3.0, soc_pct=88.0)
    resting = [step for step in steps if step.decision.mode is Mode.GRID]
    assert resting
    assert all(step.flows.p3_w == 0.0 for step in resting[1:])
