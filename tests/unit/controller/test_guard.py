"""The guard, attacked with arbitrary snapshots and histories, and by name for each rule of the design's section 5."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from services.controller.decide import decide
from services.controller.model import Interval, Learned, ManualMode, Memory, Suspension, Switching
from services.controller.reasons import Reason
from services.core.events import EventStatus
from services.core.goals import Goal, GoalKind
from services.core.modes import RELAYS, SAFE_MODE, AtsPriority, Mode, allowed_modes
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState
from tests.unit.controller.conftest import NOW, SETTINGS, STATION, an_event, fresh, snapshot

LOWEST = 20.0
ON_BATTERY = Memory(mode=Mode.BATTERY, at=NOW - timedelta(seconds=1))
watts = st.one_of(st.none(), st.floats(-50, 4000), st.sampled_from([float("nan"), float("inf")]))
ages = st.sampled_from([0.0, 2.0, 7.0, 15.0, 60.0, 1e6, -1.0])
times = st.one_of(st.integers(-7200, 7200), st.integers(-400, 10)).map(lambda s: NOW + timedelta(seconds=s))


def observed(values):
    return st.one_of(st.none(), st.builds(Observed, values, ages))


powers = observed(st.builds(PowerReading, watts, st.sampled_from([None, 0.0, 120.0, 230.0])))
relays = observed(st.builds(RelayState, st.sampled_from([None, True, False]), st.none(), st.booleans()))
soc = st.one_of(st.none(), st.floats(0, 100), st.just(float("nan")))
batteries = observed(
    st.builds(BatteryReading, soc_pct=soc, ac_output_on=st.sampled_from([None, True, False]), eco_mode=st.sampled_from([None, True, False]))
)
goals = st.one_of(st.just(Goal(GoalKind.MINIMIZE)), st.builds(Goal, st.sampled_from([GoalKind.PLEDGE, GoalKind.LIMIT]), st.floats(0, 3000)))
events = st.one_of(
    st.none(),
    st.builds(
        lambda start, hours, goal, status: an_event(start=start, hours=hours, goal=goal, status=status),
        times,
        st.floats(0.1, 20),
        goals,
        st.sampled_from([EventStatus.UPCOMING, EventStatus.ONGOING]),
    ),
)
modes = st.sampled_from([mode for mode in Mode if mode in SETTINGS.allowed])
BROKEN = {
    "monotonic_s": st.floats(0, 1e6),
    "preferences": st.floats(0, 100).map(lambda reserve: replace(STATION.preferences.preferences(), backup_reserve_pct=reserve)),
    "p1": powers,
    "p2": powers,
    "p3": powers,
    "p4": powers,
    "battery": batteries,
    "p1_relay": relays,
    "p2_relay": relays,
    "event": events,
    "override": st.one_of(st.none(), st.builds(ManualMode, st.sampled_from(Mode), times)),
}


EITHER = st.booleans()


@st.composite
def snapshots(draw, *, governed=events, p1_on=EITHER):
    """All is well but for some arbitrary fields: arbitrary ones alone would rarely reach the deeper rules."""
    whole = snapshot(load_w=draw(st.floats(0, 2500)), soc_pct=draw(st.floats(15, 100)), p1_on=draw(p1_on), event=draw(governed))
    broken = draw(st.lists(st.sampled_from(sorted(BROKEN)), unique=True, max_size=draw(st.sampled_from([0, 1, 1, 2, 11]))))
    return replace(whole, **{name: draw(BROKEN[name]) for name in broken})


memories = st.builds(
    Memory,
    at=st.one_of(st.none(), times),
    mode=modes,
    switching=st.builds(
        Switching,
        st.one_of(st.none(), times),
        st.one_of(st.none(), times),
        st.sampled_from([None, NOW.date()]),
        st.integers(0, 100),
        st.integers(0, 100),
    ),
    learned=st.builds(Learned, st.one_of(st.none(), st.floats(0, 3000)), st.one_of(st.none(), st.floats(20, 3000))),
    interval=st.one_of(
        st.none(),
        st.builds(
            lambda start, even, carry, elapsed, avoided: Interval("e1", start, start + timedelta(hours=1), even, carry, elapsed, avoided),
            times,
            st.floats(0, 2000),
            st.floats(-200, 200),
            st.floats(0, 3600),
            st.floats(-500, 500),
        ),
    ),
    suspension=st.one_of(st.none(), st.builds(Suspension, times, st.just(Reason("grid_outage")))),
    ease_until=st.one_of(st.none(), times),
    charging=st.booleans(),
    low=st.booleans(),
    p1_astray_since_s=st.one_of(st.none(), st.floats(0, 1e6)),
)


def within(observation, limit_s):
    return observation.within(limit_s) if observation is not None else None


@given(snapshots(), memories)
def test_there_is_always_a_decision_with_a_reason_and_the_same_one_each_time(snap, memory):
    decision = decide(snap, memory, SETTINGS, NOW)
    assert decision.reason.text(SETTINGS.zone)
    assert decision == decide(snap, memory, SETTINGS, NOW)
    assert decision.mode in SETTINGS.allowed


@settings(max_examples=500)
@given(snapshots(governed=st.just(an_event()), p1_on=st.just(True)), memories)
def test_p1_opens_only_with_p3_alive_a_known_load_and_a_charged_battery(snap, memory):
    closed = replace(memory, mode=SAFE_MODE, interval=None, suspension=None, switching=Switching(), low=False)
    decision = decide(snap, closed, SETTINGS, NOW)
    event(decision.reason.code)
    if RELAYS[decision.mode].p1:
        return
    alive = within(snap.battery, SETTINGS.alive_within_s)
    assert alive is not None
    assert alive.ac_output_on is True
    assert not alive.eco_mode
    assert alive.soc_pct is not None
    assert alive.soc_pct > max(LOWEST, snap.preferences.backup_reserve_pct)
    load = [within(position, SETTINGS.control.stale_after_s) for position in (snap.p1, snap.p3)]
    assert all(reading is not None and reading.power_w is not None for reading in load)
    assert sum(reading.power_w for reading in load) <= SETTINGS.battery.inverter_w
    assert within(snap.p1_relay, SETTINGS.control.stale_after_s).on is not None


@given(snapshots(governed=st.just(an_event()), p1_on=st.just(False)), memories)
def test_an_open_p1_never_stays_open_over_a_dead_p3(snap, memory):
    decision = decide(snap, replace(memory, mode=Mode.BATTERY), SETTINGS, NOW)
    alive = within(snap.battery, SETTINGS.alive_within_s)
    if alive is None or alive.ac_output_on is not True or alive.eco_mode:
        assert RELAYS[decision.mode].p1


@given(snapshots(), memories)
def test_the_battery_is_never_drained_below_the_floor_or_the_reserve_except_in_an_outage(snap, memory):
    decision = decide(snap, memory, SETTINGS, NOW)
    reading = within(snap.battery, SETTINGS.control.battery_stale_after_s)
    known = reading is not None and reading.soc_pct is not None
    if (not known or reading.soc_pct <= max(LOWEST, snap.preferences.backup_reserve_pct)) and decision.reason.code != "grid_outage":
        assert RELAYS[decision.mode].p1


@settings(max_examples=500)
@given(snapshots(governed=st.just(an_event()), p1_on=st.just(True)), memories)
def test_the_dwell_is_kept_on_every_way_out_of_the_safe_state(snap, memory):
    memory = replace(memory, interval=None, suspension=None, low=False)
    decision = decide(snap, memory, SETTINGS, NOW)
    for name in ("p1", "p2"):
        at = getattr(memory.switching, f"{name}_at")
        before, after = getattr(RELAYS[memory.mode], name), getattr(RELAYS[decision.mode], name)
        leaves_safe = before != after and after == (name == "p2")
        if leaves_safe and decision.reason.code != "p1_stuck_open" and at is not None and at <= NOW:
            assert (NOW - at).total_seconds() >= SETTINGS.dwell_s


@given(snapshots(), memories)
def test_battery_and_grid_never_feed_at_once_unless_a_person_asks(snap, memory):
    assume(memory.mode is not Mode.BATTERY_AND_CHARGE)
    manual = snap.override is not None and snap.override.mode is Mode.BATTERY_AND_CHARGE
    assert manual or decide(snap, memory, SETTINGS, NOW).mode is not Mode.BATTERY_AND_CHARGE


@given(snapshots(), memories)
def test_with_an_unmeasured_transfer_switch_p1_never_opens(snap, memory):
    hardware = replace(SETTINGS.hardware, ats_priority=AtsPriority.UNKNOWN)
    unmeasured = replace(SETTINGS, hardware=hardware, allowed=allowed_modes(hardware))
    closed = replace(memory, mode=SAFE_MODE)
    assert RELAYS[decide(snap, closed, unmeasured, NOW).mode].p1


def during_event(memory=ON_BATTERY, **changes):
    changes.setdefault("p1_on", not RELAYS[memory.mode].p2 and RELAYS[memory.mode].p1)
    return decide(snapshot(event=an_event(), **changes), memory, SETTINGS, NOW)


def test_when_all_is_well_the_event_runs_on_the_battery():
    decision = during_event()
    assert decision.mode is Mode.BATTERY
    assert "battery at 80 %" in decision.reason.text(SETTINGS.zone)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ac_output_on": False}, "p3_lost"),
        ({"battery": Observed(BatteryReading(soc_pct=80.0, ac_output_on=True), 6.0)}, "p3_lost"),
        ({"battery": fresh(BatteryReading(soc_pct=80.0, ac_output_on=True, eco_mode=True))}, "p3_lost"),
        ({"soc_pct": 20.0}, "lowest_reached"),
        ({"soc_pct": None}, "soc_unknown"),
        ({"load_w": 1900.0}, "over_inverter"),
        ({"p1_relay": fresh(RelayState(None, "not answering"))}, "p1_unknown"),
        ({"p1_relay": fresh(RelayState(True, "device timer fired", timer_fired=True))}, "p1_astray"),
    ],
)
def test_each_fault_in_an_event_hands_the_load_back_and_says_why(changes, code):
    decision = during_event(**changes)
    assert (decision.mode, decision.reason.code) == (SAFE_MODE, code)


@pytest.mark.parametrize(
    "battery",
    [
        None,
        Observed(BatteryReading(soc_pct=80.0, ac_output_on=True), 6.0),
        fresh(BatteryReading(soc_pct=80.0, ac_output_on=False)),
        fresh(BatteryReading(soc_pct=80.0, ac_output_on=None)),
        fresh(BatteryReading(soc_pct=80.0, ac_output_on=True, eco_mode=True)),
    ],
)
def test_p1_is_not_opened_over_an_output_that_is_not_proved_alive(battery):
    decision = during_event(Memory(at=NOW), p1_on=True, battery=battery)
    assert RELAYS[decision.mode].p1
    assert decision.reason.code in ("p3_not_alive", "soc_unknown")


@pytest.mark.parametrize(("ago_s", "mode"), [(1, Mode.GRID), (299, Mode.GRID), (300, Mode.BATTERY), (4000, Mode.BATTERY)])
def test_p1_waits_out_its_dwell_before_it_opens_again(ago_s, mode):
    switched = Memory(at=NOW, switching=Switching(p1_at=NOW - timedelta(seconds=ago_s)))
    decision = during_event(switched, p1_on=True)
    assert decision.mode is mode
    assert (decision.reason.code == "dwell") == (mode is Mode.GRID)


def test_after_a_lost_output_the_event_pauses_for_a_dwell_and_then_goes_on():
    lost = during_event(ac_output_on=False).memory
    back = snapshot(event=an_event())
    for minutes, mode in ((1, SAFE_MODE), (4, SAFE_MODE), (6, Mode.BATTERY)):
        decision = decide(back, lost, SETTINGS, NOW + timedelta(minutes=minutes))
        assert decision.mode is mode


def test_a_grid_outage_is_held_and_not_recovered_from():
    dark = {"p1": None, "p2": None, "p1_relay": None, "p2_relay": None, "p3": fresh(PowerReading(200.0))}
    for mode in (Mode.BATTERY, Mode.GRID):
        decision = during_event(Memory(mode=mode, at=NOW - timedelta(seconds=1)), **dark)
        assert (decision.mode, decision.reason.code) == (mode, "grid_outage")


def test_silent_relays_are_no_outage_while_the_inverter_carries_nothing():
    dark = {"p1": None, "p2": None, "p1_relay": None, "p2_relay": None, "p3": fresh(PowerReading(0.0))}
    assert during_event(**dark).mode is SAFE_MODE


def test_a_p1_that_will_not_close_gets_the_battery_charged():
    stuck = replace(Memory(mode=SAFE_MODE, at=NOW), p1_astray_since_s=900.0)
    decision = decide(snapshot(p1_on=False, p3=fresh(PowerReading(200.0))), stuck, SETTINGS, NOW)
    assert (decision.mode, decision.reason.code) == (Mode.GRID_AND_CHARGE, "p1_stuck_open")


def test_a_switch_that_is_only_just_commanded_is_not_called_stuck():
    decision = decide(snapshot(p1_on=False), Memory(mode=SAFE_MODE, at=NOW), SETTINGS, NOW)
    assert decision.reason.code != "p1_stuck_open"
    assert decision.memory.p1_astray_since_s == 1000.0


def test_charging_never_brings_the_circuit_above_its_limit():
    night = NOW.replace(hour=1)
    assert decide(snapshot(soc_pct=50.0), Memory(), SETTINGS, night).mode is Mode.GRID_AND_CHARGE
    blocked = decide(snapshot(soc_pct=50.0, load_w=900.0), Memory(), SETTINGS, night)
    assert (blocked.mode, blocked.reason.code) == (SAFE_MODE, "over_circuit")
    charging = Memory(mode=Mode.GRID_AND_CHARGE, charging=True)
    running = snapshot(soc_pct=50.0, load_w=800.0, p2_on=True, charge_w=700.0)
    assert decide(running, charging, SETTINGS, night).mode is SAFE_MODE


def test_a_motor_load_is_not_transferred_above_its_limit():
    careful = replace(SETTINGS, transfer_limit_w=150.0)
    decision = decide(snapshot(event=an_event()), Memory(), careful, NOW)
    assert (decision.mode, decision.reason.code) == (Mode.GRID, "over_transfer")


def test_the_days_cap_ends_in_the_safe_mode():
    worn = Memory(switching=Switching(day=NOW.date(), p1_today=59))
    decision = decide(snapshot(event=an_event()), worn, SETTINGS, NOW)
    assert (decision.mode, decision.reason.code) == (SAFE_MODE, "switching_cap")


def test_a_clock_set_back_over_midnight_does_not_begin_the_days_count_anew():
    worn = Switching(day=NOW.date() + timedelta(days=1), p1_today=59)
    event = an_event(status=EventStatus.ONGOING)
    decision = decide(snapshot(event=event), Memory(switching=worn), SETTINGS, NOW)
    assert (decision.mode, decision.reason.code) == (SAFE_MODE, "switching_cap")
    # A clock that was far ahead says nothing of today.
    ahead = replace(worn, day=NOW.date() + timedelta(days=400))
    assert decide(snapshot(event=event), Memory(switching=ahead), SETTINGS, NOW).mode is Mode.BATTERY


def test_a_manual_mode_wins_over_the_event_but_not_over_safety():
    manual = ManualMode(Mode.BATTERY, NOW + timedelta(hours=1))
    assert decide(snapshot(override=manual), Memory(), SETTINGS, NOW).mode is Mode.BATTERY
    assert decide(snapshot(override=manual, soc_pct=10.0), Memory(), SETTINGS, NOW).mode is SAFE_MODE
    over = decide(snapshot(override=manual), Memory(), SETTINGS, NOW + timedelta(hours=2))
    assert over.reason.code != "manual"


def test_a_clock_that_steps_back_does_not_hold_a_relay_for_hours():
    future = Memory(switching=Switching(p1_at=NOW + timedelta(hours=3)))
    assert decide(snapshot(event=an_event()), future, SETTINGS, NOW).mode is Mode.BATTERY


@pytest.mark.parametrize("soc_pct", [15.0, None])
def test_no_dwell_holds_the_load_on_a_battery_that_is_at_its_lowest_or_unknown(soc_pct):
    both = Memory(mode=Mode.BATTERY_AND_CHARGE, at=NOW - timedelta(seconds=1), switching=Switching(p1_at=NOW), charging=True)
    assert RELAYS[decide(snapshot(p1_on=False, soc_pct=soc_pct), both, SETTINGS, NOW).mode].p1


@pytest.mark.parametrize(("proved", "mode"), [(True, Mode.BATTERY), (None, Mode.BATTERY), (False, SAFE_MODE)])
def test_on_a_real_station_p1_opens_only_once_its_dead_man_was_proved(proved, mode):
    real = replace(SETTINGS, deadman_proof=True)
    relay = fresh(RelayState(True, deadman_proved=proved))
    decision = decide(snapshot(event=an_event(), p1_relay=relay), Memory(), real, NOW)
    assert decision.mode is mode
    assert (decision.reason.code == "deadman_unproved") == (proved is False)
    assert decide(snapshot(event=an_event(), p1_relay=relay), Memory(), SETTINGS, NOW).mode is Mode.BATTERY
