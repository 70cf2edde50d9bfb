"""Curtailment: only with consent, only where nothing that must be on hangs on the load, and not a moment sooner than the goal needs it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.backtest.loop import Scenario, simulate
from services.controller.decide import decide
from services.controller.model import BaselineSpan, Memory, Settings
from services.core.config.load import parse_station
from services.core.events import EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.loads import curtailment_refused
from services.core.modes import Mode
from services.core.readings import RelayState
from services.simulator.plant import PlantParameters, PlantState
from tests.unit.controller.conftest import NOW, SETTINGS, an_event, fresh, snapshot

EXAMPLE = Path(__file__).parents[3] / "config" / "examples" / "deferrable.yaml"
STATION = parse_station(EXAMPLE.read_text(encoding="utf-8"))
HOUSE = Settings.of(STATION)
ALONE = (Method.CURTAILMENT,)
LAST = (Method.REPLACEMENT, Method.CURTAILMENT)
CONSENT = replace(STATION.preferences.preferences(), methods=(Method.REPLACEMENT, Method.CURTAILMENT))


def run(*, methods=ALONE, goal=None, soc_pct=90.0, preferences=CONSENT, settings=HOUSE, hours=2.0, load_w=200.0):
    """An event on the plant, with everything decided live; the steps of the event."""
    parameters = PlantParameters.of(STATION)
    event = replace(an_event(start=NOW, hours=hours, goal=goal, status=EventStatus.SCHEDULED), methods=methods)
    scenario = Scenario(
        parameters=parameters,
        settings=settings,
        preferences=preferences,
        load_w=lambda _: load_w,
        pv_w=lambda _: 0.0,
        start=NOW - timedelta(minutes=5),
        end=event.end,
        step_s=10.0,
        events=(event,),
    )
    return [step for step in simulate(scenario, PlantState.initial(parameters, soc_pct=soc_pct)) if step.at >= NOW]


def import_wh(steps):
    return [sum(s.flows.p1_w + s.flows.p2_w for s in steps if s.at.hour == hour) / 360.0 for hour in sorted({s.at.hour for s in steps})]


def off_share(steps):
    return sum(step.decision.mode is Mode.ALL_OFF for step in steps) / len(steps)


def test_a_limit_is_used_up_and_only_the_rest_of_each_interval_is_dark():
    steps = run(goal=Goal(GoalKind.LIMIT, 120.0))
    assert import_wh(steps) == pytest.approx([120.0, 120.0], abs=3.0)
    assert off_share(steps) == pytest.approx(0.4, abs=0.05)
    codes = {step.decision.reason.code for step in steps if step.decision.mode is Mode.ALL_OFF}
    assert codes == {"curtailed"}


def test_a_load_within_the_limit_is_never_curtailed():
    assert off_share(run(goal=Goal(GoalKind.LIMIT, 300.0))) == 0.0


def test_behind_replacement_it_helps_only_once_the_battery_is_at_its_lowest():
    full = run(methods=LAST, goal=Goal(GoalKind.LIMIT, 50.0), soc_pct=95.0)
    assert off_share(full) == 0.0, "the battery meets the goal by itself"
    low = run(methods=LAST, goal=Goal(GoalKind.LIMIT, 50.0), soc_pct=25.0)
    assert off_share(low) > 0.2
    assert max(import_wh(low)) <= 56.0


@pytest.mark.parametrize(
    ("preferences", "settings"),
    [
        (replace(CONSENT, methods=(Method.REPLACEMENT,)), HOUSE),
        (CONSENT, replace(HOUSE, curtailment_refused="the switched load holds router, which must always be on")),
        (CONSENT, SETTINGS),
    ],
)
@given(load_w=st.floats(0, 2000), soc_pct=st.floats(0, 100), kind=st.sampled_from(GoalKind))
def test_without_consent_or_over_what_must_be_on_the_load_is_never_switched_off(preferences, settings, load_w, soc_pct, kind):
    goal = Goal(kind, None if kind is GoalKind.MINIMIZE else 10.0)
    event = replace(an_event(goal=goal), methods=(Method.CURTAILMENT, Method.REPLACEMENT))
    snap = snapshot(load_w=load_w, soc_pct=soc_pct, event=event, preferences=preferences, p3_relay=fresh(RelayState(True)))
    memory = Memory(at=NOW - timedelta(seconds=1))
    assert decide(snap, memory, settings, NOW).mode is not Mode.ALL_OFF


def test_a_pledge_without_a_baseline_is_not_curtailed_for_nothing_says_what_is_saved():
    event = replace(an_event(goal=Goal(GoalKind.PLEDGE, 5000.0)), methods=ALONE)
    snap = snapshot(event=event, preferences=CONSENT, p3_relay=fresh(RelayState(True)))
    assert decide(snap, Memory(at=NOW), HOUSE, NOW).mode is Mode.GRID
    known = replace(snap, baseline=(BaselineSpan(NOW, NOW + timedelta(hours=1), 200.0),))
    assert decide(known, Memory(at=NOW), HOUSE, NOW).mode is Mode.ALL_OFF


def test_what_stands_in_its_way_is_told_in_words():
    hardware = STATION.hardware
    assert curtailment_refused(hardware, ["lamps"], ["router"]) is None
    assert "router" in str(curtailment_refused(hardware, ["lamps", "router"], ["router"]))
    assert "switched_load" in str(curtailment_refused(hardware, [], []))
    assert "P3" in str(curtailment_refused(SETTINGS.hardware, ["lamps"], []))
