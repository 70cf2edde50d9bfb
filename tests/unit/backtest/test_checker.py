"""The checker sees each rule broken; and what is right, it lets pass."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.backtest import misfortune
from services.backtest.checker import Checker, Moment
from services.backtest.load_checker import LoadChecker
from services.backtest.misfortune import endure
from services.backtest.ordeals import draw
from services.controller import decide
from services.controller.model import Settings, Snapshot
from services.core.config.load import parse_station
from services.core.events import Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.loads import LoadSeen, ShiftRules
from services.core.modes import Mode
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState

STATION = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
OTHERS = [parse_station(file.read_text(encoding="utf-8")) for file in sorted(Path("config/examples").glob("*.yaml"))]
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


def broken(*moments, settings=SETTINGS):
    """The rules that a run of (seconds, mode, snapshot) breaks."""
    checker = Checker(settings, 20.0)
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


def test_charging_goes_on_only_within_the_circuit_and_counts_the_load_that_comes_back():
    free, full = (seen(p1_w=watts, p2_w=700.0, p3_w=0.0, p1_on=True) for watts in (100.0, 900.0))
    assert broken(RESTING, (10.0, Mode.GRID_AND_CHARGE, free), (20.0, Mode.GRID_AND_CHARGE, full)) == ["circuit"]
    back = (RESTING, (10.0, Mode.BATTERY, seen()), (400.0, Mode.GRID_AND_CHARGE, seen(p3_w=900.0)))
    assert broken(*back) == ["circuit"]


KINDS = {name: Settings.of(parse_station(Path(f"config/examples/{name}.yaml").read_text(encoding="utf-8")))
         for name in ("ups-inside", "inverter-priority", "p3-relay")}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "mode"), [("ups-inside", Mode.GRID), ("ups-inside", Mode.BATTERY_AND_CHARGE), ("ups-inside", Mode.ALL_OFF)]
)
def test_a_mode_that_the_hardware_cannot_do(kind, mode):
    assert "mode" in broken((0.0, mode, seen(p1_on=True)), settings=KINDS[kind])


def test_each_kind_moves_its_load_by_its_own_relay():
    """A relay that is found elsewhere than commanded is a cause to hurry back; the same state of another kind's relay is not."""
    inside, first = KINDS["ups-inside"], KINDS["inverter-priority"]
    on, off = Observed(RelayState(on=True), 0.0), Observed(RelayState(on=False), 0.0)
    here = (0.0, Mode.GRID_AND_CHARGE, seen(p1_on=True)), (10.0, Mode.BATTERY, seen())
    assert broken(*here, (20.0, Mode.GRID_AND_CHARGE, replace(seen(), p2_relay=off)), settings=inside) == ["dwell"]
    assert broken(*here, (20.0, Mode.GRID_AND_CHARGE, replace(seen(), p2_relay=on)), settings=inside) == []
    there = (0.0, Mode.GRID, replace(seen(p1_on=True), p3_relay=off)), (10.0, Mode.BATTERY, replace(seen(p1_on=True), p3_relay=off))
    assert broken(*there, (20.0, Mode.GRID, replace(seen(p1_on=True), p3_relay=on)), settings=first) == ["dwell"]
    assert broken(*there, (20.0, Mode.GRID, replace(seen(p1_on=True), p3_relay=off)), settings=first) == []


def test_the_battery_takes_no_load_that_was_off():
    off = replace(seen(p1_w=0.0, p3_w=0.0), p3_relay=Observed(RelayState(on=True), 0.0))
    assert broken(RESTING, (400.0, Mode.ALL_OFF, off), (800.0, Mode.BATTERY, off), settings=KINDS["p3-relay"]) == ["rating"]


RULES = {"boiler": ShiftRules(timedelta(minutes=10), timedelta(0), timedelta(0))}
SHIFTED = Event("e1", 0, NOON, NOON + timedelta(hours=1), Goal(GoalKind.MINIMIZE), (Method.SHIFTING,), 0, EventStatus.ONGOING)


@pytest.mark.parametrize(
    ("event", "name", "load", "held_s", "wrong"),
    [
        (SHIFTED, "boiler", LoadSeen(on=True), 600.0, False),
        (SHIFTED, "boiler", LoadSeen(on=True), 1300.0, True),
        (SHIFTED, "boiler", LoadSeen(on=True, by_hand=True), 0.0, True),
        (SHIFTED, "boiler", None, 0.0, True),
        (SHIFTED, "router", LoadSeen(on=True), 0.0, True),
        (None, "boiler", LoadSeen(on=True), 0.0, True),
        (replace(SHIFTED, methods=(Method.REPLACEMENT,)), "boiler", LoadSeen(on=True), 0.0, True),
    ],
)
def test_a_deferrable_load_is_held_off_only_as_its_person_allows(event, name, load, held_s, wrong):
    checker = LoadChecker(RULES | {"router": RULES["boiler"]}, ("router",))
    seen_loads = {name: load} if load is not None else {}
    found = [violation for at_s in (0.0, held_s) for violation in checker.check(NOON, at_s, event, {name: False}, seen_loads)]
    assert bool(found) == wrong
    assert checker.check(NOON, 5000.0, None, {name: True}, {}) == []


def test_in_an_outage_the_battery_holds_whatever_its_charge():
    assert broken(RESTING, (10.0, Mode.BATTERY, seen()), (20.0, Mode.BATTERY, seen(soc_pct=5.0, grid_v=0.0))) == []


def test_an_ordeal_is_the_same_for_the_same_seed():
    one, other = (endure(draw((STATION,), 7)) for _ in range(2))
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
    rules = {violation.rule for seed in range(40) for violation in endure(draw((STATION,), seed)).violations}
    assert {"floor", "p3", "dwell"} <= rules


def test_the_controller_stands_a_few_ordeals():
    outcomes = {seed: endure(draw((STATION, *OTHERS), seed)) for seed in range(1, 41)}
    assert {seed: outcome.violations for seed, outcome in outcomes.items() if outcome.violations} == {}
    assert sum(outcome.opened for outcome in outcomes.values()) > 5
    assert sum(outcome.restarts for outcome in outcomes.values()) > 2
    assert sum(outcome.shifted for outcome in outcomes.values()) > 0
