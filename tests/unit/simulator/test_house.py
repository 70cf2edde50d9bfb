"""The house is moved on lazily, and comes out as if it had been watched all the time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.bus.clock import ManualClock
from services.core.config.station import Station
from services.simulator.house import Contacts, House
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.trace import LoadTrace
from tests.support.house import simulated_station

START = datetime(2026, 11, 23, 18, tzinfo=UTC)


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return simulated_station(tmp_path)


def new_house(station: Station, clock: ManualClock) -> House:
    state = PlantState.initial(PlantParameters.of(station))
    return House(station, clock, state, since=START, contacts=Contacts(p1=True))


def wanted_wh(station: Station, minutes: range) -> float:
    trace = LoadTrace.of(station)
    return sum(trace.load_w(START + timedelta(minutes=minute)) for minute in minutes) / 60.0


def test_what_flowed_before_a_switching_is_booked_where_it_flowed(station: Station):
    clock = ManualClock(START)
    house = new_house(station, clock)
    clock.advance(1800.0)
    house.switch(p1=False)
    clock.advance(1800.0)
    house.advance()
    assert house.state.p1_wh == pytest.approx(wanted_wh(station, range(30)))
    assert house.state.p3_wh == pytest.approx(wanted_wh(station, range(30, 60)), rel=1e-4)
    assert house.at == START + timedelta(hours=1)


def test_how_often_somebody_looks_makes_no_difference(station: Station):
    books = []
    for pause_s in (1.0, 7.0, 3600.0):
        clock = ManualClock(START)
        house = new_house(station, clock)
        house.switch(p1=False, p2=True)
        while clock.now() < START + timedelta(hours=1):
            clock.advance(min(pause_s, (START + timedelta(hours=1) - clock.now()).total_seconds()))
            house.flows()
        books.append((house.state.stored_wh, house.state.load_wh, house.state.p2_wh))
    assert books[0] == pytest.approx(books[2], rel=2e-3)
    assert books[1] == pytest.approx(books[2], rel=2e-3)


def test_a_smaller_battery_than_the_saved_one_is_full(station: Station):
    house = House(station, ManualClock(START), PlantState(stored_wh=1e6), since=START, contacts=Contacts(p1=True))
    assert house.flows().soc_pct == 100.0
