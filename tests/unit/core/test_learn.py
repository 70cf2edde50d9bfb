"""What is learnt of a power station from simulated weeks whose truth is known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.backtest.loop import Scenario, simulate
from services.controller.model import Settings
from services.core.config.load import parse_station
from services.core.learn import Row, TooShort, learn
from services.core.linear import Singular, fitted
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.sun import Panel
from services.simulator.trace import LoadTrace

STATION = parse_station((Path(__file__).parents[3] / "config" / "station.yaml").read_text(encoding="utf-8"))
SETTINGS = Settings.of(STATION)
STATED = SETTINGS.battery
TRUE = PlantParameters(
    capacity_wh=1050.0,
    inverter_w=1800.0,
    charge_w=640.0,
    idle_w=13.0,
    discharge_efficiency=0.88,
    charge_efficiency=STATED.charge_efficiency,
)
START = datetime(2026, 6, 1, tzinfo=UTC)
STEP_S = 300.0


@pytest.fixture(scope="module")
def weeks():
    """Three weeks as the recorder tells them: means over five minutes, the state of charge in whole percents."""
    panel = Panel.of(STATION)
    run = Scenario(
        parameters=TRUE,
        settings=replace(SETTINGS, cycle=SETTINGS.cycle.model_copy(update={"charge_to_pct": 100.0})),
        preferences=STATION.preferences.preferences(),
        load_w=LoadTrace.of(STATION).load_w,
        pv_w=lambda at: 0.2 * panel.pv_w(at),
        start=START,
        end=START + timedelta(days=21),
        step_s=STEP_S,
    )
    rows, before_pct = [], 60.0
    for step in simulate(run, PlantState.initial(TRUE)):
        flows = step.flows
        rows.append(Row(flows.p2_w, flows.p3_w, flows.p4_w, round((before_pct + flows.soc_pct) / 2)))
        before_pct = flows.soc_pct
    return rows


def holds(interval, true):
    return interval.low <= true <= interval.high


def test_the_true_figures_lie_in_the_intervals_and_the_intervals_say_something(weeks):
    found = learn(weeks, STEP_S, STATED)
    assert holds(found.deliverable_wh, TRUE.capacity_wh * TRUE.discharge_efficiency)
    assert holds(found.round_trip, TRUE.charge_efficiency * TRUE.discharge_efficiency)
    assert holds(found.capacity_wh, TRUE.capacity_wh)
    assert holds(found.discharge_efficiency, TRUE.discharge_efficiency)
    assert holds(found.idle_w, TRUE.idle_w)
    assert found.deliverable_wh.value == pytest.approx(TRUE.capacity_wh * TRUE.discharge_efficiency, rel=0.015), "these meters are right"
    assert found.capacity_wh.value == pytest.approx(TRUE.capacity_wh, rel=0.015)
    assert found.capacity_wh.high < STATED.capacity_wh, "that the box is smaller than stated is seen"
    for interval in (found.deliverable_wh, found.round_trip, found.capacity_wh, found.discharge_efficiency, found.idle_w):
        assert interval.high - interval.low < 0.2 * interval.value


def test_the_charge_curve_is_flat_and_then_falls(weeks):
    curve = {point.from_pct: point.power_w for point in learn(weeks, STEP_S, STATED).curve}
    assert curve[70.0].value == pytest.approx(640.0, rel=0.02)
    assert curve[90.0].value < 600.0


def test_gaps_are_left_out_and_are_not_zero(weeks):
    holed = [Row(None, None, None, None) if 40 <= i % 288 < 60 else row for i, row in enumerate(weeks)]
    found, whole = learn(holed, STEP_S, STATED), learn(weeks, STEP_S, STATED)
    assert found.days < whole.days
    assert found.deliverable_wh.value == pytest.approx(whole.deliverable_wh.value, rel=0.03)


def test_a_short_history_is_refused_with_what_is_missing(weeks):
    with pytest.raises(TooShort, match="at least 7 are needed"):
        learn(weeks[: 3 * 288], STEP_S, STATED)
    with pytest.raises(TooShort, match=r"0\.0 days"):
        learn([], STEP_S, STATED)


def test_a_battery_that_only_rested_teaches_nothing():
    with pytest.raises(TooShort, match="let the battery cycle"):
        learn([Row(0.0, 0.0, 0.0, 60.0)] * 4000, STEP_S, STATED)


def test_least_squares_finds_what_made_the_data_and_knows_what_it_cannot_tell():
    terms = [(float(i), float(i * i % 7), 1.0) for i in range(20)]
    found = fitted(terms, [2 * a - 3 * b + 5 * c for a, b, c in terms])
    assert found.values == pytest.approx((2.0, -3.0, 5.0))
    assert found.error(0) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(Singular):
        fitted([(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)], [1.0, 2.0, 3.0])
    with pytest.raises(Singular):
        fitted([(1.0, 0.0)] * 3, [1.0] * 3)
