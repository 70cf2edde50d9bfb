"""The checker sees each rule broken; and what is right, it lets pass."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.backtest import misfortune
from services.backtest.checker import Checker, Moment
from services.backtest.misfortune import draw, endure
from services.controller import decide
from services.controller.model import Settings, Snapshot
from services.core.config.load import parse_station
from services.core.modes import Mode
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState

STATION = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
SETTINGS = Settings.of(STATION)
NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def seen(*, soc_pct=80.0, p1_w=0.0, p2_w=0.0, p3_w=200.0, alive=True, p1_on=False, age_s=0.0, grid_v=230.0):
    return Snapshot(
        monotonic_s=0.0,
        preferences=STATION.preferences.preferences(),
        p1=Observed(PowerReading(p1_w, grid_v), age_s),
        p2=Observed(PowerReading(p2_w, grid_v), age_s),
        p3=Observed(PowerReading(p3_w, 230.0), age_s),
        battery=Observed(BatteryReading(soc_pct, ac_output_on=alive), age_s),
        p1_relay=Observed(RelayState(p1_on), 0.0),
        p2_relay=Observed(RelayState(on=False), 0.0),
    )


def broken(*moments):
    """The rules that a run of (seconds, mode, snapshot) breaks."""
    checker = Checker(SETTINGS, 20.0)
    found = []
    for at_s, mode, snapshot, *truth in moments:
        true_soc_pct = truth[0] if truth else 80.0
        found += checker.check(Moment(NOON + timedelta(seconds=at_s), at_s, snapshot, mode, true_soc_pct, truthful=True))
    return [violation.rule for violation in found]


RESTING = (0.0, Mode.GRID, seen(p1_w=200.0, p3_w=0.0, p1_on=True))


def test_an_event_as_it_should_be_breaks_nothing():
    assert broken(RESTING, (10.0, Mode.BATTERY, seen(p1_w=200.0, p3_w=0.0)), (20.0, Mode.BATTERY, seen()), (400.0, Mode.GRID, seen())) == []


@pytest.mark.parametrize(
    ("snapshot", "rule"),
    [
        (seen(soc_pct=19.9), "floor"),
        (seen(p3_w=1900.0), "rating"),
        (seen(alive=False), "p3"),
        (seen(age_s=60.0, grid_v=230.0), None),
    ],
)
def test_staying_on_battery_against_what_is_read(snapshot, rule):
    found = broken(RESTING, (10.0, Mode.BATTERY, seen()), (20.0, Mode.BATTERY, snapshot))
    assert found == ([rule] if rule else [])


def test_the_truth_counts_where_no_device_lies():
    assert broken(RESTING, (10.0, Mode.BATTERY, seen()), (20.0, Mode.BATTERY, seen(soc_pct=50.0), 15.0)) == ["floor"]


@pytest.mark.parametrize("snapshot", [seen(p1_w=1900.0, p3_w=0.0), seen(p1_w=float("nan"), p3_w=0.0)])
def test_opening_onto_too_much_or_onto_the_unknown(snapshot):
    assert broken(RESTING, (10.0, Mode.BATTERY, snapshot)) == ["rating"]


def test_the_dwell_both_ways():
    quick_open = (RESTING, (10.0, Mode.BATTERY, seen()), (320.0, Mode.GRID, seen()), (330.0, Mode.BATTERY, seen()))
    quick_close = (RESTING, (10.0, Mode.BATTERY, seen()), (20.0, Mode.GRID, seen()))
    assert broken(*quick_open) == broken(*quick_close) == ["dwell"]


@pytest.mark.parametrize("cause", [seen(soc_pct=20.0), seen(alive=False), seen(p3_w=2000.0), seen(p1_on=True)])
def test_a_hurried_return_for_a_cause_of_safety_is_right(cause):
    assert broken(RESTING, (10.0, Mode.BATTERY, seen()), (20.0, Mode.GRID, cause)) == []


def test_charging_onto_a_full_circuit_and_too_soon():
    full = seen(p1_w=1000.0, p3_w=0.0, p1_on=True)
    free = seen(p1_w=100.0, p3_w=0.0, p1_on=True)
    assert broken(RESTING, (10.0, Mode.GRID_AND_CHARGE, full)) == ["circuit"]
    assert broken(RESTING, (10.0, Mode.GRID_AND_CHARGE, free), (20.0, Mode.GRID, free), (30.0, Mode.GRID_AND_CHARGE, free)) == ["dwell"]


def test_in_an_outage_the_battery_holds_whatever_its_charge():
    assert broken(RESTING, (10.0, Mode.BATTERY, seen()), (20.0, Mode.BATTERY, seen(soc_pct=5.0, grid_v=0.0))) == []


def test_an_ordeal_is_the_same_for_the_same_seed():
    one, other = (endure(draw(STATION, 7)) for _ in range(2))
    assert one == other
    assert one.decisions > 10


def test_a_controller_without_a_guard_does_not_pass(monkeypatch):

    def reckless(snapshot, memory, settings, now):
        made = decide.decide(snapshot, memory, settings, now)
        return type(made)(
            mode=Mode.BATTERY if snapshot.event is not None else made.mode,
            phase=made.phase,
            reason=made.reason,
            memory=made.memory,
            mode_confirmed=made.mode_confirmed,
        )

    monkeypatch.setattr(misfortune, "decide", reckless)
    rules = {violation.rule for seed in range(40) for violation in endure(draw(STATION, seed)).violations}
    assert {"floor", "p3", "dwell"} <= rules


def test_the_controller_stands_a_few_ordeals():
    outcomes = {seed: endure(draw(STATION, seed)) for seed in range(1, 31)}
    assert {seed: outcome.violations for seed, outcome in outcomes.items() if outcome.violations} == {}
    assert sum(outcome.opened for outcome in outcomes.values()) > 5
