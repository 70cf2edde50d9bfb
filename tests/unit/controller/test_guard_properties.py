"""Every decision attacked with arbitrary snapshots, histories and memories, on every kind of hardware that can be run.

What is asserted is written anew from the design's section 5, from the raw snapshot, and shares no code with the guard.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.controller import store
from services.controller.decide import decide
from services.controller.model import BaselineSpan, Interval, Learned, ManualMode, Memory, Settings, Snapshot, Suspension, Switching
from services.controller.reasons import Reason
from services.core.config.load import parse_station
from services.core.events import Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.modes import FEEDS, Feed, Mode
from services.core.observer import Observer, cautious_pct
from services.core.positions import Position
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState
from tests.unit.controller.conftest import NOW, STATION, an_event

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"


def _settings() -> Iterator[tuple[str, Settings]]:
    yield "shipped", Settings.of(STATION)
    for file in sorted(EXAMPLES.glob("*.yaml")):
        station = parse_station(file.read_text(encoding="utf-8"))
        yield file.stem, replace(Settings.of(station), deadman_proof=True, transfer_limit_w=None)
    yield "motor load", replace(Settings.of(STATION), transfer_limit_w=300.0)


HOUSES = dict(_settings())
houses = st.sampled_from(sorted(HOUSES))
wild = st.sampled_from([nan, inf, -inf, 1e300, -1e300, 1e9, -5.0, 0.0])
watts = st.one_of(st.none(), st.floats(0, 4000), wild)
maybe = st.sampled_from([None, True, False])
ages = st.sampled_from([0.0, 0.0, 0.5, 4.0, 7.0, 15.0, 60.0, 1e6, -1.0, nan, inf])
offsets = st.one_of(st.integers(-400, 10), st.integers(-7200, 7200), st.integers(-(10**6), 10**6))
times = offsets.map(lambda s: NOW + timedelta(seconds=s))


def observed(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(st.none(), st.builds(Observed, values, ages))


powers = observed(st.builds(PowerReading, watts, st.one_of(st.sampled_from([None, 0.0, 120.0, 230.0]), wild)))
relays = observed(st.builds(RelayState, maybe, st.sampled_from([None, "welded contact", "not answering"]), st.booleans(), maybe))
any_report = st.builds(
    BatteryReading, st.one_of(st.none(), st.floats(0, 100), wild), watts, watts, watts, watts, ac_output_on=maybe, eco_mode=maybe
)
plausible_report = st.builds(BatteryReading, st.floats(21, 100), ac_output_on=maybe, eco_mode=maybe)
batteries = st.one_of(observed(any_report), st.builds(Observed, plausible_report, st.sampled_from([0.0, 4.0, 7.0])))
goals = st.one_of(
    st.just(Goal(GoalKind.MINIMIZE)), st.builds(Goal, st.sampled_from([GoalKind.PLEDGE, GoalKind.LIMIT]), st.floats(0, 100_000))
)
methods = st.lists(st.sampled_from(Method), min_size=1, max_size=3, unique=True).map(tuple)
events = st.one_of(
    st.none(),
    st.builds(
        lambda start, hours, goal, how, status: Event("e1", 0, start, start + timedelta(hours=hours), goal, how, 0, status),
        times,
        st.floats(0.01, 24),
        goals,
        methods,
        st.sampled_from([EventStatus.UPCOMING, EventStatus.ONGOING, EventStatus.ONGOING]),
    ),
)
baselines = st.lists(
    st.builds(lambda start, s, w: BaselineSpan(start, start + timedelta(seconds=s), w), times, st.integers(1, 7200), st.floats(-500, 5000)),
    max_size=3,
).map(tuple)
preferences = st.builds(
    lambda reserve, how: replace(STATION.preferences.preferences(), backup_reserve_pct=reserve, methods=how), st.floats(0, 100), methods
)
PARTS = {
    "monotonic_s": st.floats(0, 1e7),
    "preferences": preferences,
    "p1": powers, "p2": powers, "p3": powers, "p4": powers,
    "battery": batteries,
    "p1_relay": relays, "p2_relay": relays, "p3_relay": relays,
    "event": events,
    "baseline": baselines,
    "override": st.one_of(st.none(), st.builds(ManualMode, st.sampled_from(Mode), times)),
    "silent": st.booleans(),
}  # fmt: skip
suspensions = st.one_of(st.none(), st.builds(Suspension, times, st.just(Reason("p3_lost", ("silent", NOW)))))
memories = st.builds(
    Memory,
    at=st.one_of(st.none(), times),
    mode=st.sampled_from(Mode),
    switching=st.builds(
        Switching,
        st.one_of(st.none(), times),
        st.one_of(st.none(), times),
        st.sampled_from([None, NOW.date()]),
        st.integers(0, 100),
        st.integers(0, 100),
    ),
    learned=st.builds(Learned, st.one_of(st.none(), st.floats(0, 5000)), st.one_of(st.none(), st.floats(20, 3000))),
    interval=st.one_of(
        st.none(),
        st.builds(
            lambda start, minutes, even, carry, elapsed, avoided, load: Interval(
                "e1", start, start + timedelta(minutes=minutes), even, carry, elapsed, avoided, load, load
            ),
            times,
            st.integers(1, 60),
            st.floats(0, 2000),
            st.floats(-2000, 2000),
            st.floats(0, 3600),
            st.floats(-2000, 2000),
            st.floats(0, 5000),
        ),
    ),
    suspension=suspensions,
    ease_until=st.one_of(st.none(), times),
    charging=st.booleans(),
    low=st.booleans(),
    p1_astray_since_s=st.one_of(st.none(), st.floats(0, 1e7)),
    observer=st.builds(Observer, stored_wh=st.one_of(st.none(), st.floats(0, 2000))),
)


def well(house: Settings, *, load_w: float, soc_pct: float, on: dict[str, bool], event: Event | None, monotonic_s: float) -> Snapshot:
    """A snapshot in which all is well, on any hardware: each device says what the relays make of the load."""
    inside = house.hardware.p1_inside
    p1_on, p2_on, p3_on = on.get("p1", True), on.get("p2", False), on.get("p3", True)
    on_grid = p2_on if inside else (p1_on if not house.hardware.inverter_first else p1_on and not p3_on)
    p3_w = load_w if inside else (0.0 if on_grid else load_w)
    passed_w = load_w if inside and on_grid else 0.0
    charge_w = 300.0 if p2_on else 0.0
    fresh = lambda value: Observed(value, 0.0)  # noqa: E731
    return Snapshot(
        monotonic_s=monotonic_s,
        preferences=STATION.preferences.preferences(),
        p1=None if inside else fresh(PowerReading(load_w if on_grid else 0.0, 230.0)),
        p2=fresh(PowerReading(charge_w + passed_w, 230.0)),
        p3=fresh(PowerReading(p3_w, 230.0)),
        p4=fresh(PowerReading(0.0)),
        battery=fresh(BatteryReading(soc_pct, charge_w + passed_w, p3_w, 0.0, 0.0, True, False)) if house.data_link else None,
        p1_relay=None if inside else fresh(RelayState(p1_on, deadman_proved=True)),
        p2_relay=fresh(RelayState(p2_on, deadman_proved=True)),
        p3_relay=fresh(RelayState(p3_on, deadman_proved=True)) if house.hardware.p3_actuator else None,
        event=event,
    )


def stood(house: Settings, memory: Memory) -> Mode:
    """The mode commanded before; a house that was configured anew since counts as being in its safe mode."""
    return memory.mode if memory.mode in house.allowed else house.board.safe_mode


@st.composite
def attacks(draw: st.DrawFn) -> tuple[str, Snapshot, Memory]:
    """A house, mostly well but for some arbitrary parts: arbitrary ones alone would rarely reach the deeper rules."""
    name = draw(houses)
    house = HOUSES[name]
    calm = draw(st.booleans())
    if calm:
        # An event has just begun, or goes on, and nothing stands in its way but what is broken below.
        modes = [mode for mode in (house.board.safe_mode, Mode.BATTERY) if mode in house.allowed]
        memory, event = Memory(at=NOW - timedelta(seconds=1), mode=draw(st.sampled_from(modes))), an_event(hours=1.0)
    else:
        memory, event = draw(memories), draw(events)
    commanded = house.board.relays[stood(house, memory)]
    whole = well(
        house,
        load_w=draw(st.floats(50, 1500) if calm else st.floats(0, 2500)),
        soc_pct=draw(st.floats(99, 100) if calm else st.floats(0, 100)),
        on={p: bool(commanded.at(Position(p))) for p in ("p1", "p2", "p3")},
        event=event,
        monotonic_s=draw(st.floats(0, 1e7)),
    )
    most = draw(st.sampled_from([0, 1, 1, 2] if calm else [0, 1, 2, 3, len(PARTS)]))
    parts = st.one_of(st.sampled_from(sorted(PARTS)), st.sampled_from(["battery", "p1_relay", "p3"]))
    broken = draw(st.lists(parts, unique=True, max_size=most))
    return name, replace(whole, **{part: draw(PARTS[part]) for part in broken}), memory


def fresh_value(observation, limit_s: float):
    return observation.value if observation is not None and 0.0 <= observation.age_s <= limit_s else None


def sane(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def assert_safe(house: Settings, snap: Snapshot, memory: Memory, now: datetime) -> Mode:
    """Decide, and hold the decision against the design."""
    decision = decide(snap, memory, house, now)
    code, mode, before = decision.reason.code, decision.mode, stood(house, memory)
    assert decision.reason.text(house.zone), "every decision has its reason in words"
    assert decision == decide(snap, memory, house, now), "the same question has the same answer"
    assert mode in house.allowed, f"mode {mode} is not possible here ({code})"
    assert decision.goal_w is None or isfinite(decision.goal_w)
    assert decision.duty is None or 0.0 <= decision.duty <= 1.0
    if code == "grid_outage":
        assert mode is before, "an outage is held"
        return mode

    limit_s, battery_limit_s = house.control.stale_after_s, house.control.battery_stale_after_s
    leaves = FEEDS[before] is Feed.GRID and FEEDS[mode] is not Feed.GRID
    battery = fresh_value(snap.battery, battery_limit_s)
    soc = sane(battery.soc_pct) if battery is not None else None
    soc = soc if soc is not None and 0.0 <= soc <= 100.0 else None
    p3 = fresh_value(snap.p3, battery_limit_s)
    if FEEDS[mode] is Feed.BATTERY:
        lowest = max(house.battery.floor_pct, snap.preferences.backup_reserve_pct)
        known = soc if soc is not None else cautious_pct(decision.memory.observer, house.battery)
        assert known is not None, f"on the battery with nothing known of its charge ({code})"
        assert known > lowest, f"on the battery at {known} %, lowest {lowest} % ({code})"
        assert p3 is None or p3.power_w is None or not p3.power_w > house.battery.inverter_w or FEEDS[before] is not Feed.BATTERY
        alive = fresh_value(snap.battery, house.alive_within_s)
        meter = fresh_value(snap.p3, house.alive_within_s)
        by_station = alive is not None and alive.ac_output_on is not None
        lives = alive.ac_output_on and not alive.eco_mode if by_station else meter is not None and (sane(meter.voltage_v) or 0.0) >= 50.0
        assert lives, f"on the battery with an output that is not proved alive ({code})"
    if leaves:
        relay = {"p1": snap.p1_relay, "p2": snap.p2_relay, "p3": snap.p3_relay}[house.board.transfer.value]
        seen = fresh_value(relay, battery_limit_s if house.output_switched and house.board.transfer is Position.P3 else limit_s)
        assert seen is not None, f"the relay that moves the load is unknown ({code})"
        assert seen.on is not None, f"the relay that moves the load is unknown ({code})"
        assert not house.deadman_proof or seen.deadman_proved is not False, "its dead-man was not proved"
        load = p3.power_w if p3 is not None else None
        if not house.hardware.p1_inside:
            p1 = fresh_value(snap.p1, limit_s)
            load = p1.power_w + load if p1 is not None and p1.power_w is not None and load is not None else None
        assert load is not None, f"the load is unknown ({code})"
        assert isfinite(load), f"the load is unknown ({code})"
        assert load <= house.battery.inverter_w, f"{load} W on an inverter of {house.battery.inverter_w} W ({code})"
        assert house.transfer_limit_w is None or load <= house.transfer_limit_w
        at, switching = memory.switching.p1_at, memory.switching
        assert at is None or at > now or (now - at).total_seconds() >= house.dwell_s, f"dwell ({code})"
        assert switching.day != now.astimezone(house.zone).date() or switching.p1_today + 2 <= house.switchings_per_day
        assert memory.suspension is None or now >= memory.suspension.until, "it was to pause"
    charges = bool(house.board.relays[mode].p2) and not house.board.relays[before].p2 and house.board.transfer is not Position.P2
    if charges and not code.endswith(("stuck_open", "stuck_closed")):
        p1, p2 = fresh_value(snap.p1, limit_s), fresh_value(snap.p2, limit_s)
        assert p1 is not None
        assert p2 is not None
        assert p1.power_w + house.battery.charge_w <= house.circuit_limit_w, f"over the circuit's limit ({code})"
    if mode is Mode.BATTERY_AND_CHARGE and memory.mode is not Mode.BATTERY_AND_CHARGE:
        assert snap.override is not None, "battery and grid never feed at once unless a person asks"
    return mode


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(attacks())
def test_no_decision_breaks_the_design_whatever_is_seen_and_remembered(attack):
    name, snap, memory = attack
    assert_safe(HOUSES[name], snap, memory, NOW)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(attacks())
def test_what_is_remembered_survives_the_disk_exactly(attack):
    """With NaN and infinities among the readings: none of them may reach the memory, where it would cost the whole state file."""
    name, snap, memory = attack
    remembered = decide(snap, replace(memory, mode=HOUSES[name].board.possible(memory.mode)), HOUSES[name], NOW).memory
    state = store.State(memory=remembered)
    assert store.loads(store.dumps(state)) == state


steps = st.tuples(
    st.sampled_from([1.0, 1.0, 10.0, 60.0, 299.0, 301.0, 3600.0, -3600.0, -5.0, 86400.0]),
    st.sampled_from(["well", "well", "well", "frozen", "jump", "attack", "missing", "backwards"]),
    st.lists(st.sampled_from(sorted(PARTS)), unique=True, max_size=3),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), houses, st.lists(steps, min_size=3, max_size=30), events)
def test_no_history_breaks_the_design(data, name, path, event):
    """Readings that freeze, jump, go missing and go back in time; a clock that steps by hours; over many decisions in a row."""
    house = HOUSES[name]
    memory, now, monotonic_s = Memory(), NOW, 1000.0
    load_w, soc_pct = 300.0, 60.0
    last: list[Snapshot] = []
    left_at: list[datetime] = []
    for dt_s, kind, parts in path:
        now, monotonic_s = now + timedelta(seconds=dt_s), monotonic_s + min(abs(dt_s), 10.0)
        if event is not None:
            status = EventStatus.ONGOING if event.start <= now < event.end else EventStatus.UPCOMING
            event = replace(event, status=status) if now < event.end else None
        commanded = house.board.relays[stood(house, memory)]
        on = {p: bool(commanded.at(Position(p))) for p in ("p1", "p2", "p3")}
        if kind == "jump":
            load_w, soc_pct = data.draw(st.floats(0, 4000)), data.draw(st.floats(0, 100))
        snap = well(house, load_w=load_w, soc_pct=soc_pct, on=on, event=event, monotonic_s=monotonic_s)
        if kind == "frozen" and last:
            snap = replace(last[-1], monotonic_s=monotonic_s, event=event)
        elif kind == "backwards" and len(last) > 1:
            snap = replace(last[0], event=event)
        elif kind == "missing":
            gone: dict[str, Any] = {part: None for part in parts if part in ("p1", "p2", "p3", "p4", "battery", "p1_relay", "p2_relay")}
            snap = replace(snap, **gone)
        elif kind == "attack":
            snap = replace(snap, **{part: data.draw(PARTS[part]) for part in parts if part != "monotonic_s"})
        last.append(snap)
        mode = assert_safe(house, snap, memory, now)
        if FEEDS[stood(house, memory)] is Feed.GRID and FEEDS[mode] is not Feed.GRID:
            left_at.append(now)
        memory = decide(snap, memory, house, now).memory
    days = {at.astimezone(house.zone).date() for at in left_at}
    if all(a < b for a, b in pairwise(left_at)):
        assert all((b - a).total_seconds() >= house.dwell_s for a, b in pairwise(left_at)), "dwell"
        assert all(2 * sum(at.astimezone(house.zone).date() == day for at in left_at) <= house.switchings_per_day for day in days), "cap"


@pytest.mark.parametrize("name", sorted(HOUSES))
def test_with_nothing_known_every_house_rests_in_its_safe_mode(name):
    house = HOUSES[name]
    for event in (None, an_event()):
        for mode in house.allowed:
            nothing = Snapshot(monotonic_s=0.0, preferences=STATION.preferences.preferences(), event=event)
            decision = decide(nothing, Memory(mode=mode), house, NOW)
            assert decision.mode is house.board.safe_mode or decision.reason.code == "calibrating_first", (mode, decision.reason)
