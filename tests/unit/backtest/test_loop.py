"""The controller on the simulated plant: whole events, in station hours, without a wire."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from services.backtest.loop import Scenario, simulate
from services.controller.model import Settings
from services.core.config.load import parse_station
from services.core.events import Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.modes import RELAYS, Mode
from services.simulator.plant import PlantParameters, PlantState

STATION = parse_station((Path(__file__).parents[3] / "config" / "station.yaml").read_text(encoding="utf-8"))
PARAMETERS, SETTINGS = PlantParameters.of(STATION), Settings.of(STATION)
MORNING = datetime(2026, 7, 1, 6, 0, tzinfo=UTC)
START = MORNING + timedelta(hours=3)


def fridge_w(at):
    """About 150 W, with a compressor."""
    return 100.0 + (110.0 if at.minute % 20 < 9 else 0.0) + 20.0 * math.sin(at.timestamp() / 700.0)


def run(goal, *, hours=4.0, soc_pct=95.0, start=START, begin=MORNING, load_w=fridge_w, pv_w=lambda _: 0.0, until_h=None):
    event = Event("e1", 0, start, start + timedelta(hours=hours), goal, (Method.REPLACEMENT,), 0, EventStatus.SCHEDULED)
    end = begin + timedelta(hours=until_h) if until_h else event.end + timedelta(hours=1)
    scenario = Scenario(PARAMETERS, SETTINGS, STATION.preferences.preferences(), load_w, pv_w, begin, end, 10.0, (event,))
    return event, list(simulate(scenario, PlantState.initial(PARAMETERS, soc_pct=soc_pct)))


def hourly(event, steps, power):
    """Mean power in each hour of the event."""
    sums = {}
    for step in steps:
        if event.start <= step.at < event.end:
            sums.setdefault((step.at - event.start) // timedelta(hours=1), []).append(power(step.flows))
    return [sum(values) / len(values) for values in sums.values()]


def switchings(steps):
    return sum(RELAYS[a.decision.mode].p1 != RELAYS[b.decision.mode].p1 for a, b in pairwise(steps))


def test_with_energy_enough_an_event_is_carried_whole():
    event, steps = run(Goal(GoalKind.MINIMIZE))
    assert all(p1_w == 0.0 for p1_w in hourly(event, steps, lambda flows: flows.p1_w))
    assert switchings([s for s in steps if s.at < event.end]) == 1


@pytest.mark.parametrize("pledged_w", [40.0, 75.0, 110.0])
def test_a_pledge_is_held_in_every_hour_with_few_switchings(pledged_w):
    event, steps = run(Goal(GoalKind.PLEDGE, pledged_w))
    assert hourly(event, steps, lambda flows: flows.p3_w) == pytest.approx([pledged_w] * 4, rel=0.05)
    assert switchings(steps) <= 8


def test_a_limit_on_the_import_is_held_in_every_hour():
    event, steps = run(Goal(GoalKind.LIMIT, 60.0))
    imports_w = hourly(event, steps, lambda flows: flows.p1_w + flows.p2_w)
    assert all(import_w <= 63.0 for import_w in imports_w), imports_w


def test_when_energy_is_short_the_hours_share_it_evenly_and_the_reason_says_so():
    event, steps = run(Goal(GoalKind.MINIMIZE), start=MORNING, soc_pct=45.0)
    carried_w = hourly(event, steps, lambda flows: flows.p3_w)
    assert min(carried_w) >= 0.85 * max(carried_w)
    # One step may pass before the floor is seen.
    assert min(step.flows.soc_pct for step in steps if step.at < event.end) >= 19.95
    assert any(step.decision.reason.code == "holding_part" for step in steps)


def test_nothing_is_charged_during_an_event():
    event, steps = run(Goal(GoalKind.PLEDGE, 60.0), soc_pct=30.0)
    assert all(p2_w == 0.0 for p2_w in hourly(event, steps, lambda flows: flows.p2_w))


def test_an_upcoming_event_finds_the_battery_full_and_charged_late():
    event, steps = run(Goal(GoalKind.MINIMIZE), soc_pct=40.0, start=MORNING + timedelta(hours=5))
    at_start = next(step for step in steps if step.at >= event.start)
    assert at_start.flows.soc_pct >= 97.0
    first = next(step.at for step in steps if step.decision.mode is Mode.GRID_AND_CHARGE)
    assert event.start - first < timedelta(hours=3)


def test_an_upcoming_event_leaves_room_for_the_sun_it_has_learnt_of():
    sunny = lambda at: 250.0 if 6 <= at.hour < 14 else 0.0  # noqa: E731
    week = MORNING - timedelta(days=6)
    event, steps = run(Goal(GoalKind.MINIMIZE), begin=week, pv_w=sunny, start=MORNING + timedelta(hours=6), load_w=lambda _: 80.0)
    at_seven = next(step for step in steps if step.at >= MORNING + timedelta(hours=1))
    at_start = next(step for step in steps if step.at >= event.start)
    assert at_seven.flows.soc_pct < 90.0
    assert at_start.flows.soc_pct > at_seven.flows.soc_pct


def test_after_an_event_the_load_goes_back_after_the_stations_own_delay():
    event, steps = run(Goal(GoalKind.MINIMIZE), hours=1.0)
    back = next(step.at for step in steps if step.at >= event.end and RELAYS[step.decision.mode].p1)
    assert timedelta(0) <= back - event.end <= SETTINGS.control.ease_back
    assert any(step.decision.reason.code == "easing_back" for step in steps)


def test_after_an_event_no_charge_makes_a_rebound():
    event, steps = run(Goal(GoalKind.MINIMIZE), hours=1.0, until_h=8)
    charged = next(step.at for step in steps if step.at >= event.end and step.flows.p2_w > 0.0)
    assert charged - event.end >= SETTINGS.control.recharge_after


def test_the_daily_cycle_discharges_in_the_evening_and_charges_at_night():
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    _, steps = run(Goal(GoalKind.MINIMIZE), begin=noon, start=noon + timedelta(days=40), until_h=24, soc_pct=90.0)
    modes = {step.at.astimezone(SETTINGS.zone).hour: step.decision.mode for step in steps if step.at.minute == 5}
    assert (modes[18], modes[23], modes[1]) == (Mode.BATTERY, Mode.GRID, Mode.GRID_AND_CHARGE)
    assert min(step.flows.soc_pct for step in steps) >= 50.0


def test_the_dwell_is_kept_in_every_run():
    _, steps = run(Goal(GoalKind.PLEDGE, 33.0), load_w=lambda at: 60.0 if at.minute % 2 else 400.0)
    changes = [b.at for a, b in pairwise(steps) if RELAYS[a.decision.mode].p1 != RELAYS[b.decision.mode].p1]
    assert changes
    assert all(b - a >= timedelta(seconds=SETTINGS.dwell_s) for a, b in pairwise(changes))
