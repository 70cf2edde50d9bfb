"""A station with a relay at P3, on the simulated plant: every mode by hand, and the way from one to the next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from services.backtest.loop import Scenario, observe, simulate
from services.controller.decide import decide
from services.controller.model import ManualMode, Memory, Settings
from services.core.config.load import parse_station
from services.core.modes import Mode
from services.core.readings import Observed, RelayState
from services.simulator.plant import PlantInputs, PlantParameters, PlantState, step

EXAMPLE = Path(__file__).parents[3] / "config" / "examples" / "p3-relay.yaml"
STATION = parse_station(EXAMPLE.read_text(encoding="utf-8"))
PARAMETERS, SETTINGS = PlantParameters.of(STATION), Settings.of(STATION)
PREFERENCES = STATION.preferences.preferences()
NOON = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
LOAD_W = 200.0


def run(mode, *, hours=1.0, soc_pct=70.0, memory=None):
    manual = ManualMode(mode, NOON + timedelta(hours=hours / 2))
    end = NOON + timedelta(hours=hours)
    scenario = Scenario(PARAMETERS, SETTINGS, PREFERENCES, lambda _: LOAD_W, lambda _: 0.0, NOON, end, 10.0, override=manual)
    return manual, list(simulate(scenario, PlantState.initial(PARAMETERS, soc_pct=soc_pct), memory))


@pytest.mark.parametrize(
    ("mode", "load_w", "grid_charges"),
    [(Mode.ALL_OFF, 0.0, False), (Mode.CHARGE_ONLY, 0.0, True), (Mode.GRID_AND_CHARGE, LOAD_W, True), (Mode.BATTERY, LOAD_W, False)],
)
def test_a_mode_set_by_hand_is_lived_until_its_end(mode, load_w, grid_charges):
    manual, steps = run(mode)
    held = [s for s in steps if NOON + timedelta(minutes=1) <= s.at < manual.until - timedelta(minutes=1)]
    assert {s.decision.mode for s in held} == {mode}
    assert {s.decision.mode_confirmed for s in held} == {mode}
    assert {s.flows.load_w for s in held} == {load_w}
    assert all((s.flows.p2_w > 0.0) == grid_charges for s in held)
    after = [s for s in steps if s.at >= manual.until + timedelta(minutes=6)]
    assert {s.flows.load_w for s in after} == {LOAD_W}


def test_with_the_load_off_the_battery_gives_only_the_inverters_own_draw():
    manual, steps = run(Mode.ALL_OFF)
    held = [s for s in steps if NOON + timedelta(minutes=1) <= s.at < manual.until]
    drawn_wh = held[0].plant.stored_wh - held[-1].plant.stored_wh
    assert drawn_wh == pytest.approx(PARAMETERS.idle_w * (held[-1].at - held[0].at).total_seconds() / 3600.0)
    assert all(s.flows.ac_output_on for s in held)


def test_from_load_off_to_the_battery_the_way_leads_over_the_grid():
    memory = replace(Memory(), mode=Mode.ALL_OFF)
    _, steps = run(Mode.BATTERY, memory=memory)
    modes = [s.decision.mode for s in steps[:60]]
    changes = [modes[0], *(b for a, b in pairwise(modes) if a != b)]
    assert changes == [Mode.GRID, Mode.BATTERY]
    assert steps[0].decision.reason.code == "p3_not_closed"


@pytest.mark.parametrize(
    "p3_relay", [Observed(RelayState(False), 0.0), Observed(RelayState(None), 0.0), Observed(RelayState(True), 60.0), None]
)
def test_a_relay_at_p3_that_is_not_proved_closed_brings_the_load_back_to_the_grid_at_once(p3_relay):
    plant = PlantState.initial(PARAMETERS, soc_pct=70.0)
    _, flows = step(PARAMETERS, plant, PlantInputs(False, False, True, LOAD_W, 0.0), 10.0)
    snapshot = replace(observe(flows, False, False, 100.0, PREFERENCES, None), override=ManualMode(Mode.BATTERY, NOON + timedelta(hours=1)))
    memory = replace(Memory(), mode=Mode.BATTERY, at=NOON)
    held = decide(replace(snapshot, p3_relay=Observed(RelayState(True), 0.0)), memory, SETTINGS, NOON + timedelta(seconds=10))
    assert held.mode is Mode.BATTERY
    lost = decide(replace(snapshot, p3_relay=p3_relay), memory, SETTINGS, NOON + timedelta(seconds=10))
    assert (lost.mode, lost.reason.code) == (Mode.GRID, "p3_not_closed")
    assert "relay at P3" in lost.reason.text(SETTINGS.zone)


def test_behind_an_open_relay_the_inverter_lives_on_and_the_load_does_not():
    plant = PlantState.initial(PARAMETERS, soc_pct=70.0)
    inputs = PlantInputs(p1_on=False, p2_on=False, p3_on=True, load_w=LOAD_W, pv_w=0.0, p3_closed=False)
    after, flows = step(PARAMETERS, plant, inputs, 3600.0)
    assert (flows.p3_w, flows.load_w, flows.ac_output_on, flows.p3_v) == (0.0, 0.0, True, PARAMETERS.grid_voltage_v)
    assert after.unserved_s == 3600.0
    assert plant.stored_wh - after.stored_wh == pytest.approx(PARAMETERS.idle_w)
    too_much = inputs._replace(load_w=10_000.0)
    assert not step(PARAMETERS, plant, too_much, 10.0)[0].tripped
