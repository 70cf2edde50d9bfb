"""Days without an event, one policy after the other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.controller.decide import decide
from services.controller.model import Learned, Memory
from services.core.config.policy import NormalPolicy
from services.core.config.tariff import TariffSection
from services.core.modes import Mode
from services.core.quiet import Span, parse_hours
from services.core.wear import Wear, break_even
from tests.unit.controller.conftest import NOW, SETTINGS, STATION, snapshot

PREFERENCES = STATION.preferences.preferences()
TARIFF = TariffSection.model_validate(
    {
        "rates": [
            {"name": "peak", "price_per_kwh": 0.6, "hours": "17:00-20:00"},
            {"name": "late", "price_per_kwh": 0.4, "hours": "14:00-17:00"},
            {"name": "night", "price_per_kwh": 0.1, "hours": "22:00-06:00"},
            {"name": "day", "price_per_kwh": 0.2},
        ]
    }
).tariff()
CHEAP_WEAR = Wear(price=300, cycles=3500, depth_pct=80)


def settings(policy, **changes):
    return replace(SETTINGS, cycle=SETTINGS.cycle.model_copy(update={"policy": policy}), **changes)


def at(local_hour, minute=0):
    """On a summer's day, in Paris."""
    return datetime(2026, 7, 1, 0, minute, tzinfo=UTC) + timedelta(hours=local_hour - 2)


def run(chosen, now, *, soc_pct, memory=None, preferences=PREFERENCES, **changes):
    memory = memory or Memory()
    p1_on = memory.mode is not Mode.BATTERY
    return decide(snapshot(soc_pct=soc_pct, p1_on=p1_on, preferences=preferences, **changes), memory, chosen, now)


TOU = settings(NormalPolicy.TIME_OF_USE, tariff=TARIFF, wear=CHEAP_WEAR)


@pytest.mark.parametrize(
    ("hour", "soc_pct", "mode", "code"),
    [
        (2, 50, Mode.GRID_AND_CHARGE, "cheap"),
        (10, 50, Mode.GRID, "between_prices"),
        (18, 80, Mode.BATTERY, "dear"),
        (18, 20, Mode.GRID, "resting"),
        (2, 89, Mode.GRID, "resting"),
    ],
)
def test_time_of_use_charges_cheap_and_discharges_dear(hour, soc_pct, mode, code):
    decision = run(TOU, at(hour), soc_pct=soc_pct)
    assert (decision.mode, decision.reason.code) == (mode, code)


def test_time_of_use_does_nothing_where_wear_eats_the_difference_and_shows_it():
    dear_battery = settings(NormalPolicy.TIME_OF_USE, tariff=TARIFF, wear=Wear(price=2000, cycles=3000, depth_pct=80))
    worth = break_even(0.1, dear_battery.wear, dear_battery.battery)
    assert worth > 0.6
    for hour in range(24):
        decision = run(dear_battery, at(hour), soc_pct=80)
        assert (decision.mode, decision.reason.code) == (Mode.GRID, "not_worth_it")
    assert f"{worth:.3f}" in decision.reason.text(SETTINGS.zone)


def test_time_of_use_keeps_energy_for_the_dearest_hours():
    memory = Memory(learned=Learned(load_w=200.0))
    # Three dear hours of 200 W take 735 Wh out of the cells, 64 points of the battery.
    assert run(TOU, at(15), soc_pct=80, memory=memory).mode is Mode.GRID
    assert run(TOU, at(15), soc_pct=95, memory=memory).mode is Mode.BATTERY
    assert run(TOU, at(18), soc_pct=80, memory=memory).mode is Mode.BATTERY


def test_time_of_use_leaves_room_for_the_sun():
    sunny = Memory(learned=Learned(pv_by_hour_wh=(60.0,) * 24))
    assert run(TOU, at(2), soc_pct=50).mode is Mode.GRID_AND_CHARGE
    assert run(TOU, at(2), soc_pct=50, memory=sunny).mode is Mode.GRID


def test_self_consumption_uses_the_sun_down_to_the_reserve_and_charges_no_more_than_that():
    chosen = settings(NormalPolicy.SELF_CONSUMPTION)
    assert run(chosen, at(10), soc_pct=60).mode is Mode.BATTERY
    assert run(chosen, at(10), soc_pct=30).mode is Mode.GRID, "a spell begins only when there is enough for one"
    assert run(chosen, at(10), soc_pct=30, memory=Memory(mode=Mode.BATTERY)).mode is Mode.BATTERY
    assert run(chosen, at(10), soc_pct=21, memory=Memory(mode=Mode.BATTERY)).mode is Mode.GRID
    assert run(chosen, at(10), soc_pct=19).mode is Mode.GRID
    assert run(chosen, at(10), soc_pct=17).mode is Mode.GRID_AND_CHARGE
    keep = replace(PREFERENCES, backup_reserve_pct=50.0)
    assert run(chosen, at(10), soc_pct=47, preferences=keep).mode is Mode.GRID_AND_CHARGE
    assert run(chosen, at(10), soc_pct=55, preferences=keep).mode is Mode.GRID


def test_standby_only_charges():
    chosen = settings(NormalPolicy.STANDBY)
    for hour in range(24):
        assert run(chosen, at(hour), soc_pct=88).mode is Mode.GRID
        assert run(chosen, at(hour), soc_pct=80).mode is Mode.GRID_AND_CHARGE


@pytest.mark.parametrize("policy", list(NormalPolicy))
def test_no_policy_charges_in_quiet_hours_or_in_the_time_of_another_event(policy):
    chosen = settings(policy, tariff=TARIFF, wear=CHEAP_WEAR)
    quiet = replace(PREFERENCES, quiet_hours=parse_hours("22:00-07:00"))
    whole_day = (Span(at(0).timestamp(), at(24).timestamp()),)
    charged = 0
    for hour in range(24):
        charged += run(chosen, at(hour), soc_pct=10).mode is Mode.GRID_AND_CHARGE
        assert run(chosen, at(hour), soc_pct=10, busy=whole_day).mode is Mode.GRID
        decision = run(chosen, at(hour), soc_pct=10, preferences=quiet)
        if hour >= 22 or hour < 7:
            assert decision.mode is Mode.GRID
    assert charged, "an empty battery is charged some time"


@pytest.mark.parametrize("policy", list(NormalPolicy))
def test_no_policy_discharges_below_the_reserve(policy):
    chosen = settings(policy, tariff=TARIFF, wear=CHEAP_WEAR)
    keep = replace(PREFERENCES, backup_reserve_pct=55.0)
    for hour in range(24):
        assert run(chosen, at(hour), soc_pct=54, preferences=keep, memory=Memory(mode=Mode.BATTERY)).mode is not Mode.BATTERY


def test_quiet_hours_also_hold_for_waking_a_silent_station():
    silent = snapshot(silent=True, soc_pct=None, ac_output_on=None)
    assert decide(silent, Memory(), SETTINGS, NOW).reason.code == "waking"
    quiet = replace(PREFERENCES, quiet_hours=parse_hours("12:00-20:00"))
    assert decide(replace(silent, preferences=quiet), Memory(), SETTINGS, NOW).reason.code == "quiet_hours"
