"""The snapshot's readings as a decision sees them: what is no number is unknown, whichever device says it."""

from math import inf, nan

import pytest

from services.controller.view import resolve
from services.core.readings import BatteryReading, PowerReading
from tests.unit.controller.conftest import SETTINGS, fresh, snapshot


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("position", ["p1", "p2", "p3", "p4"])
def test_a_power_that_is_no_number_is_unknown_and_so_are_its_sums(position, value):
    view = resolve(snapshot(**{position: fresh(PowerReading(value, 230.0))}), SETTINGS)
    assert getattr(view, f"{position}_w") is None
    assert (view.load_w is None) == (position in ("p1", "p3"))
    assert (view.import_w is None) == (position in ("p1", "p2"))


@pytest.mark.parametrize("value", [nan, inf, -inf, -0.1, 100.1])
def test_a_charge_that_cannot_be_is_unknown(value):
    assert resolve(snapshot(battery=fresh(BatteryReading(value, ac_output_on=True))), SETTINGS).soc_pct is None


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_voltage_that_is_no_number_proves_nothing(value):
    view = resolve(snapshot(battery=None, p3=fresh(PowerReading(0.0, value))), SETTINGS)
    assert (view.output_on, view.p3_alive) == (None, None)
