"""The plant keeps its energy book, whatever is done to it."""

import dataclasses
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.simulator.plant import Flows, PlantInputs, PlantParameters, PlantState, Source, step

# A loaded machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PLANT = PlantParameters(
    capacity_wh=1000.0, inverter_w=1800.0, charge_w=700.0, idle_w=9.0, discharge_efficiency=0.85, charge_efficiency=0.93
)
ON_GRID = PlantInputs(p1_on=True, p2_on=False, p3_on=True, load_w=300.0, pv_w=0.0)
ON_BATTERY = ON_GRID._replace(p1_on=False)

watts = st.floats(0, 3000)
parameters = st.builds(
    PlantParameters,
    capacity_wh=st.floats(50, 10_000),
    inverter_w=st.floats(100, 2500),
    charge_w=st.floats(10, 2000),
    idle_w=st.floats(0, 50),
    discharge_efficiency=st.floats(0.5, 1),
    charge_efficiency=st.floats(0.5, 1),
    ats_prefers=st.sampled_from(Source),
    ats_delay_s=st.floats(0, 20),
    ats_gap_s=st.floats(0, 5),
    passthrough=st.booleans(),
    ac_input_w=st.floats(100, 4000),
    ups_gap_s=st.floats(0, 1),
)
inputs = st.builds(PlantInputs, st.booleans(), st.booleans(), st.booleans(), watts, watts, st.booleans())
durations = st.one_of(st.just(0.0), st.floats(0.001, 4000))
history = st.lists(st.tuples(inputs, durations), min_size=1, max_size=12)


def follow(plant: PlantParameters, state: PlantState, steps: list[tuple[PlantInputs, float]]) -> tuple[PlantState, Flows]:
    for acting, dt_s in steps:
        state, flows = step(plant, state, acting, dt_s)
    return state, flows


@unhurried
@given(parameters, st.floats(0, 100), history)
def test_energy_is_conserved_over_any_history(plant: PlantParameters, soc_pct: float, steps: list[tuple[PlantInputs, float]]):
    start = PlantState.initial(plant, soc_pct=soc_pct)
    end, _ = follow(plant, start, steps)
    came = end.p1_wh + end.p2_wh + end.p4_wh
    went = end.load_wh + end.losses_wh + (end.stored_wh - start.stored_wh)
    assert came == pytest.approx(went, abs=1e-6)
    assert end.load_wh == pytest.approx(end.p1_wh + end.p3_wh, abs=1e-6)
    wanted = sum(acting.load_w * dt_s for acting, dt_s in steps) / 3600.0
    assert end.load_wh + end.unserved_wh == pytest.approx(wanted, abs=1e-6)


@unhurried
@given(parameters, st.floats(0, 100), history)
def test_nothing_flows_backwards_and_the_battery_stays_within_its_limits(
    plant: PlantParameters, soc_pct: float, steps: list[tuple[PlantInputs, float]]
):
    state = PlantState.initial(plant, soc_pct=soc_pct)
    for acting, dt_s in steps:
        before = state
        state, flows = step(plant, state, acting, dt_s)
        assert all(power_w >= -1e-6 for power_w in flows[:5])
        assert 0.0 <= flows.soc_pct <= 100.0
        assert 0.0 <= state.stored_wh <= plant.capacity_wh
        passed_w = flows.p3_w if plant.passthrough else 0.0
        assert flows.p2_w <= plant.charge_w + passed_w + 1e-6
        assert flows.p4_w <= acting.pv_w + 1e-6
        assert state.losses_wh >= before.losses_wh - 1e-9
        if not acting.grid_ok:
            assert flows.p1_w == pytest.approx(0.0, abs=1e-6)
            assert flows.p2_w == pytest.approx(0.0, abs=1e-6)
            assert flows.grid_v == 0.0


@unhurried
@given(parameters, st.floats(0, 100), inputs, st.floats(0.001, 2000), st.floats(0.001, 2000))
def test_two_steps_are_one_longer_step(plant: PlantParameters, soc_pct: float, acting: PlantInputs, first_s: float, second_s: float):
    # The taper is the one thing that is held constant over a step.
    untapered = PlantParameters(**{name: getattr(plant, name) for name in plant.__slots__} | {"trickle": 1.0})
    start = PlantState.initial(untapered, soc_pct=soc_pct)
    whole, _ = step(untapered, start, acting, first_s + second_s)
    parts, _ = follow(untapered, start, [(acting, first_s), (acting, second_s)])
    assert parts.source == whole.source
    for name in ("stored_wh", "p1_wh", "p2_wh", "p3_wh", "p4_wh", "load_wh", "losses_wh", "unserved_wh"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), abs=1e-5), name


@unhurried
@given(parameters, st.floats(0, 100), history)
def test_the_load_goes_without_only_when_neither_source_lives_or_during_a_transfer(
    plant: PlantParameters, soc_pct: float, steps: list[tuple[PlantInputs, float]]
):
    state = PlantState.initial(plant, soc_pct=soc_pct)
    for acting, dt_s in steps:
        before = state
        state, _ = step(plant, state, acting, dt_s)
        if acting.p1_on and acting.grid_ok:
            gaps = state.transfers - before.transfers + 1
            assert state.unserved_s - before.unserved_s <= gaps * max(plant.ats_gap_s, plant.ups_gap_s) + 1e-6


@unhurried
@given(parameters, history)
def test_a_state_survives_its_file_form(plant: PlantParameters, steps: list[tuple[PlantInputs, float]]):
    state, _ = follow(plant, PlantState.initial(plant), steps)
    assert PlantState.from_dict(state.to_dict()) == state


def test_with_grid_priority_the_battery_only_idles():
    state, flows = step(PLANT, PlantState.initial(PLANT), ON_GRID, 3600.0)
    assert (flows.p1_w, flows.p3_w, flows.load_w) == (300.0, 0.0, 300.0)
    assert state.stored_wh == pytest.approx(600.0 - 9.0)


def test_when_p1_opens_the_battery_carries_the_load_with_its_losses():
    state, flows = step(PLANT, PlantState.initial(PLANT), ON_BATTERY, 3600.0)
    assert flows.p3_w == pytest.approx(300.0, rel=1e-4)
    assert state.stored_wh == pytest.approx(600.0 - 9.0 - 300.0 / 0.85, abs=0.01)
    assert state.unserved_s == pytest.approx(PLANT.ats_gap_s)
    assert state.transfers == 1


def test_with_the_ac_output_off_an_open_p1_leaves_the_load_without():
    state, flows = step(PLANT, PlantState.initial(PLANT), ON_BATTERY._replace(p3_on=False), 60.0)
    assert (flows.load_w, flows.ac_output_on, flows.p3_v) == (0.0, False, 0.0)
    assert state.unserved_s == 60.0


def test_the_switch_returns_to_the_grid_after_its_delay():
    state, _ = step(PLANT, PlantState.initial(PLANT), ON_BATTERY, 10.0)
    state, flows = step(PLANT, state, ON_GRID, 0.5)
    assert flows.p3_w == 300.0
    state, _ = step(PLANT, state, ON_GRID, 1.0)
    state, flows = step(PLANT, state, ON_GRID, 0.0)
    assert (flows.p1_w, flows.p3_w) == (300.0, 0.0)


def test_with_inverter_priority_the_battery_carries_the_load_though_p1_is_on():
    plant = PlantParameters(1000.0, 1800.0, 700.0, 9.0, 0.85, 0.93, ats_prefers=Source.INVERTER)
    state, _ = step(plant, PlantState.initial(plant), ON_GRID, 10.0)
    _, flows = step(plant, state, ON_GRID, 10.0)
    assert (flows.p1_w, flows.p3_w) == (0.0, 300.0)


def test_an_empty_battery_stops_the_inverter_exactly_then():
    start = PlantState.initial(PLANT, soc_pct=10.0)
    drain_w = 9.0 + 300.0 / 0.85
    state, flows = step(PLANT, start, ON_BATTERY, 3600.0)
    assert state.stored_wh == 0.0
    assert not flows.ac_output_on
    assert state.unserved_s == pytest.approx(3600.0 - 100.0 / drain_w * 3600.0, abs=0.05)


def test_an_empty_station_starts_again_once_it_has_some_charge():
    state, _ = step(PLANT, PlantState.initial(PLANT, soc_pct=0.0), ON_BATTERY, 60.0)
    charging = ON_BATTERY._replace(p2_on=True)
    state, flows = step(PLANT, state, charging, 60.0)
    assert not flows.ac_output_on
    state, _ = step(PLANT, state, charging, 60.0)
    _, flows = step(PLANT, state, charging, 0.0)
    assert flows.ac_output_on


def test_overload_trips_the_inverter_until_its_output_is_switched_off():
    heavy = ON_BATTERY._replace(load_w=2500.0)
    state, flows = step(PLANT, PlantState.initial(PLANT), heavy, 10.0)
    assert (flows.load_w, flows.ac_output_on) == (0.0, False)
    state, flows = step(PLANT, state, ON_BATTERY, 10.0)
    assert not flows.ac_output_on
    state, _ = step(PLANT, state, ON_BATTERY._replace(p3_on=False), 10.0)
    _, flows = step(PLANT, state, ON_BATTERY, 10.0)
    assert flows.ac_output_on


def test_the_grid_takes_over_at_once_when_the_inverter_trips():
    state, _ = step(PLANT, PlantState.initial(PLANT), ON_BATTERY, 10.0)
    state, _ = step(PLANT, state, ON_GRID._replace(load_w=2500.0), 10.0)
    assert state.unserved_s <= 2 * PLANT.ats_gap_s + 1e-9


def test_charging_tapers_to_a_trickle():
    charging = ON_GRID._replace(p2_on=True)
    at = {soc: step(PLANT, PlantState.initial(PLANT, soc_pct=soc), charging, 1.0)[1].p2_w for soc in (50.0, 89.0, 95.0, 99.9)}
    assert at[50.0] == at[89.0] == 700.0
    assert at[95.0] == pytest.approx(700.0 * 0.525)
    assert at[99.9] == pytest.approx(700.0 * 0.0595, rel=0.01)


def test_a_full_battery_takes_only_what_the_inverter_uses():
    _, flows = step(PLANT, PlantState.initial(PLANT, soc_pct=100.0), ON_GRID._replace(p2_on=True, pv_w=200.0), 60.0)
    assert flows.p4_w == pytest.approx(9.0 / 0.93)
    assert flows.p2_w == pytest.approx(0.0)
    assert flows.soc_pct == 100.0


def test_a_grid_outage_is_carried_by_the_battery():
    state, flows = step(PLANT, PlantState.initial(PLANT), ON_GRID._replace(grid_ok=False), 3600.0)
    assert flows.p3_w == pytest.approx(300.0, rel=1e-4)
    assert math.isclose(state.unserved_s, PLANT.ats_gap_s)


@pytest.mark.parametrize("wrong", [ON_GRID._replace(load_w=-1.0), ON_GRID._replace(pv_w=-1.0)])
def test_negative_powers_are_refused(wrong: PlantInputs):
    with pytest.raises(ValueError, match="negative"):
        step(PLANT, PlantState.initial(PLANT), wrong, 1.0)
    with pytest.raises(ValueError, match="negative"):
        step(PLANT, PlantState.initial(PLANT), ON_GRID, -1.0)


INSIDE = dataclasses.replace(PLANT, passthrough=True, p1_inside=True, ac_input_w=900.0, ats_prefers=Source.INVERTER)
PLUGGED = PlantInputs(p1_on=False, p2_on=True, p3_on=True, load_w=300.0, pv_w=0.0)
UNPLUGGED = PLUGGED._replace(p2_on=False)


def inside(soc_pct: float = 60.0) -> PlantState:
    """At rest, with the grid passed through."""
    state, _ = step(INSIDE, PlantState.initial(INSIDE, soc_pct=soc_pct), PLUGGED, 60.0)
    return state._replace(unserved_s=0.0, unserved_wh=0.0, transfers=0)


def test_with_p1_inside_the_grid_feeds_the_load_through_the_power_station_and_charges_with_what_its_input_has_left():
    before = inside()
    after, flows = step(INSIDE, before, PLUGGED, 600.0)
    assert (flows.p1_w, flows.p3_w, flows.load_w) == (0.0, 300.0, 300.0)
    assert flows.p2_w == pytest.approx(900.0), "300 W passed through, and 600 of the charger's 700 W"
    assert after.stored_wh - before.stored_wh == pytest.approx((600.0 * 0.93 - 9.0) / 6.0)
    _, heavy = step(INSIDE, before, PLUGGED._replace(load_w=1000.0), 600.0)
    assert heavy.p2_w == pytest.approx(1000.0), "the charge gives way"


def test_p2_off_and_on_again_moves_the_load_to_the_battery_and_back_with_a_gap_each():
    on_battery, flows = step(INSIDE, inside(), UNPLUGGED, 3600.0)
    assert (flows.p2_w, flows.p3_w) == (0.0, pytest.approx(300.0, rel=1e-4))
    assert on_battery.unserved_s == pytest.approx(INSIDE.ups_gap_s)
    back, flows = step(INSIDE, on_battery, PLUGGED, 600.0)
    assert flows.p2_w > flows.p3_w > 0.0
    assert back.unserved_s == pytest.approx(2 * INSIDE.ups_gap_s)
    assert back.transfers == 2


def test_a_full_station_passes_through_and_charges_nothing():
    _, flows = step(INSIDE, inside(100.0), PLUGGED, 60.0)
    assert flows.p2_w - flows.p3_w <= 9.0 / 0.93 + 1e-6


def test_with_p1_inside_an_empty_or_tripped_inverter_does_not_matter_while_the_grid_is_passed_through():
    empty, _ = step(INSIDE, inside(0.5), UNPLUGGED, 3600.0)
    assert empty.unserved_s > 3000.0
    fed, _ = step(INSIDE, empty, PLUGGED, 10.0)
    assert fed.unserved_s - empty.unserved_s == pytest.approx(INSIDE.ups_gap_s)
    tripped, flows = step(INSIDE, inside(), UNPLUGGED._replace(load_w=2500.0), 10.0)
    assert not flows.ac_output_on
    _, flows = step(INSIDE, tripped, PLUGGED._replace(load_w=2500.0), 10.0)
    assert flows.ac_output_on


def test_with_p1_inside_a_grid_outage_and_a_switched_off_output_do_what_one_expects():
    state, flows = step(INSIDE, inside(), PLUGGED._replace(grid_ok=False), 600.0)
    assert (flows.p2_w, flows.grid_v) == (0.0, 0.0)
    assert state.unserved_s == pytest.approx(INSIDE.ups_gap_s)
    _, flows = step(INSIDE, inside(), PLUGGED._replace(p3_on=False), 600.0)
    assert (flows.load_w, flows.ac_output_on) == (0.0, False)
    assert flows.p2_w == 700.0, "it charges all the same"


def test_a_ups_outside_feeds_an_open_p1_from_the_grid_while_p2_is_on():
    outside = dataclasses.replace(PLANT, passthrough=True, ac_input_w=1800.0)
    state, flows = step(outside, PlantState.initial(outside), ON_BATTERY._replace(p2_on=True), 60.0)
    assert flows.p2_w == pytest.approx(1000.0, rel=1e-3)
    assert state.stored_wh > 600.0
