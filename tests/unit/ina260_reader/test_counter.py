"""Energy from readings, with gaps left open."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ina260_reader.counter import EnergyCounter

START = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def counted(*readings, max_gap_s=3.0):
    counter = EnergyCounter()
    for at_s, power_w in readings:
        counter.add(START + timedelta(seconds=at_s), power_w, max_gap_s=max_gap_s)
    return counter.energy_wh


def test_a_steady_hundred_watts_are_a_hundred_watt_hours_an_hour():
    assert counted(*((second, 100.0) for second in range(3601))) == pytest.approx(100.0)


def test_a_gap_is_not_bridged():
    assert counted((0, 3600.0), (1, 3600.0), (100, 3600.0), (101, 3600.0)) == pytest.approx(2.0)


def test_what_flows_back_is_taken_off():
    assert counted((0, 3600.0), (1, 3600.0), (2, -3600.0), (3, -3600.0)) == pytest.approx(0.0)


def test_a_clock_that_steps_back_adds_nothing():
    assert counted((0, 3600.0), (1, 3600.0), (-50, 3600.0), (-49, 3600.0)) == pytest.approx(2.0)


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0, 1000)), max_size=30))
def test_power_that_never_flows_back_never_lowers_the_counter(readings):
    counter, before = EnergyCounter(), 0.0
    for at_s, power_w in readings:
        after = counter.add(START + timedelta(seconds=at_s), power_w, max_gap_s=3.0)
        assert after >= before
        before = after
