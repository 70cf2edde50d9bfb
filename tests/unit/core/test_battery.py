"""What a battery can give and take: the formulas, and that the plant agrees with them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller.model import Settings
from services.core.battery import Battery, charging_s, even_power_w, flexible_wh
from services.core.config.load import parse_station
from services.simulator.plant import PlantInputs, PlantParameters, PlantState, step

STATION = parse_station((Path(__file__).parents[3] / "config" / "station.yaml").read_text(encoding="utf-8"))
BOX = Settings.of(STATION).battery
AC180 = Battery(capacity_wh=1152, floor_pct=20, inverter_w=1800, charge_w=700, idle_w=9, discharge_efficiency=0.85, charge_efficiency=0.93)


def test_even_power_by_hand():
    # 80 % of 1152 Wh over 4 h are 230.4 W at the cells; less 9 W idle, times 0.85.
    assert even_power_w(AC180, 100, 20, 4 * 3600) == pytest.approx(0.85 * (230.4 - 9))


def test_flexible_energy_by_hand():
    assert flexible_wh(AC180, 70, 20) == pytest.approx(0.85 * 576)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 1e6))
def test_nothing_is_promised_below_the_floor_or_for_no_time(soc_pct, lowest_pct, left_s):
    even_w = even_power_w(AC180, soc_pct, lowest_pct, left_s)
    assert even_w >= 0
    if soc_pct <= lowest_pct or left_s == 0:
        assert even_w == 0
        assert soc_pct > lowest_pct or flexible_wh(AC180, soc_pct, lowest_pct) == 0


@given(st.floats(21, 100), st.floats(1, 12))
def test_holding_the_even_power_ends_at_the_floor_and_not_before(soc_pct, hours):
    even_w = even_power_w(BOX, soc_pct, 20, hours * 3600)
    if even_w > BOX.inverter_w:
        return
    parameters = PlantParameters.of(STATION)
    inputs = PlantInputs(p1_on=False, p2_on=False, p3_on=True, load_w=even_w, pv_w=0.0)
    _, flows = step(parameters, PlantState.initial(parameters, soc_pct=soc_pct), inputs, hours * 3600)
    drained_by_idle = even_w == 0.0
    assert drained_by_idle or flows.soc_pct == pytest.approx(20, abs=0.2)


@given(st.floats(0, 99), st.floats(0, 100))
def test_charging_time_grows_with_what_is_missing(soc_pct, target_pct):
    needed_s = charging_s(AC180, soc_pct, target_pct, 700)
    assert (needed_s > 0) == (target_pct > soc_pct)
    assert charging_s(AC180, soc_pct, 100, 700) >= needed_s


@pytest.mark.parametrize(("soc_pct", "target_pct"), [(20, 80), (50, 90), (60, 99)])
def test_charging_time_is_what_the_plant_takes_within_the_margin_that_is_kept(soc_pct, target_pct):
    parameters = PlantParameters.of(STATION)
    state, taken_s = PlantState.initial(parameters, soc_pct=soc_pct), 0.0
    inputs = PlantInputs(p1_on=True, p2_on=True, p3_on=True, load_w=0.0, pv_w=0.0)
    while 100 * state.stored_wh / parameters.capacity_wh < target_pct:
        state, _ = step(parameters, state, inputs, 10.0)
        taken_s += 10.0
    computed_s = charging_s(BOX, soc_pct, target_pct, BOX.charge_w)
    assert computed_s <= taken_s <= STATION.control.charge_margin * computed_s
