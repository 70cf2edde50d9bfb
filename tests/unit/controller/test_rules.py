"""The guard's rules by name, one each: on the ordinary station, and on those whose load is moved by P2 or by P3."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller import contradictions, guard
from services.controller.decide import decide
from services.controller.model import Contradiction, ManualMode, Memory, Proposal, Settings, Switching
from services.controller.reasons import _WORDS, Reason
from services.controller.rules import ALARMS
from services.controller.view import resolve
from services.core.config.load import parse_station
from services.core.modes import FEEDS, AtsPriority, Feed, Mode, allowed_modes
from services.core.observer import Inputs, Observer, update
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState
from tests.unit.controller.conftest import NOW, SETTINGS, an_event, fresh, snapshot

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"


def settings_of(name):
    return Settings.of(parse_station((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")))


INSIDE, INVERTER, P3_RELAY = settings_of("ups-inside"), settings_of("inverter-priority"), settings_of("p3-relay")
JUST = NOW - timedelta(seconds=1)
ON_BATTERY = Memory(mode=Mode.BATTERY, at=JUST)
SINCE = 1000.0 - contradictions.STANDS_S - SETTINGS.control.battery_stale_after_s
"""Long before the snapshots' monotonic time."""


def proposed(mode, snap, memory=None, settings=SETTINGS, now=NOW):
    """The guard's verdict on `mode`, proposed for no particular reason."""
    memory = memory or Memory(at=JUST)
    lowest = guard.lowest_pct(snap.preferences.backup_reserve_pct, settings)
    return guard.check(Proposal(mode, Reason("manual", (NOW,))), resolve(snap, settings), memory, now, lowest, settings)


def outcome(mode, snap, memory=None, settings=SETTINGS):
    verdict = proposed(mode, snap, memory, settings)
    assert verdict.reason.text(settings.zone), "a reason has words"
    return verdict.mode, verdict.reason.code


def reserve(pct):
    return replace(snapshot().preferences, backup_reserve_pct=pct)


@pytest.mark.parametrize(
    ("mode", "changes", "code"),
    [
        (Mode.BATTERY, {"soc_pct": 20.0}, "lowest_reached"),
        (Mode.BATTERY, {"soc_pct": 35.0, "preferences": reserve(40.0)}, "reserve_reached"),
        (Mode.BATTERY, {"soc_pct": None}, "soc_unknown"),
        (Mode.BATTERY, {"soc_pct": float("nan")}, "soc_unknown"),
        (Mode.BATTERY, {"p1_relay": None}, "p1_unknown"),
        (Mode.BATTERY, {"p1_relay": Observed(RelayState(True), 11.0)}, "p1_unknown"),
        (Mode.BATTERY, {"ac_output_on": False}, "p3_not_alive"),
        (Mode.BATTERY, {"battery": Observed(BatteryReading(80.0, ac_output_on=True), 6.0)}, "p3_not_alive"),
        (Mode.BATTERY, {"p3": None}, "load_unknown"),
        (Mode.BATTERY, {"p1": Observed(PowerReading(200.0), 11.0)}, "load_unknown"),
        (Mode.BATTERY, {"load_w": 1650.0}, "over_inverter"),
        (Mode.GRID_AND_CHARGE, {"soc_pct": None}, "soc_unknown"),
        (Mode.GRID_AND_CHARGE, {"p2": None}, "load_unknown"),
        (Mode.GRID_AND_CHARGE, {"p2_relay": None}, "p2_unknown"),
        (Mode.GRID_AND_CHARGE, {"load_w": 800.0}, "over_circuit"),
        (Mode.ALL_OFF, {}, "mode_impossible"),
    ],
)
def test_each_objection_has_a_code_of_its_own_and_ends_in_the_safe_mode(mode, changes, code):
    assert outcome(mode, snapshot(**changes)) == (Mode.GRID, code)


def test_a_priority_that_nobody_measured_is_named_and_the_battery_waits():
    hardware = replace(SETTINGS.hardware, ats_priority=AtsPriority.UNKNOWN)
    unmeasured = replace(SETTINGS, hardware=hardware, allowed=allowed_modes(hardware))
    assert outcome(Mode.BATTERY, snapshot(), settings=unmeasured) == (Mode.GRID, "ats_unknown")
    assert outcome(Mode.GRID_AND_CHARGE, snapshot(), settings=unmeasured)[0] is Mode.GRID_AND_CHARGE


def test_where_nothing_objects_the_proposal_passes():
    assert outcome(Mode.BATTERY, snapshot()) == (Mode.BATTERY, "manual")
    assert outcome(Mode.GRID_AND_CHARGE, snapshot()) == (Mode.GRID_AND_CHARGE, "manual")


# What a person may ask for, and the circuit.

SMALL_CIRCUIT = replace(SETTINGS, circuit_limit_w=600.0)


@pytest.mark.parametrize(
    ("mode", "changes", "settings", "code"),
    [
        (Mode.BATTERY_AND_CHARGE, {}, SMALL_CIRCUIT, "over_circuit"),
        (Mode.BATTERY_AND_CHARGE, {"load_w": 800.0}, SETTINGS, "over_circuit"),
        (Mode.BATTERY_AND_CHARGE, {"p2": None}, SETTINGS, "load_unknown"),
        (Mode.BATTERY_AND_CHARGE, {"p2_relay": None}, SETTINGS, "p2_unknown"),
        (Mode.CHARGE_ONLY, {"p3_relay": fresh(RelayState(True))}, replace(P3_RELAY, circuit_limit_w=600.0), "over_circuit"),
        (Mode.CHARGE_ONLY, {"p3_relay": fresh(RelayState(True)), "p2": None}, P3_RELAY, "load_unknown"),
    ],
)
def test_a_manual_mode_that_opens_p1_and_charges_passes_the_circuits_rules_too(mode, changes, settings, code):
    manual = ManualMode(mode, NOW + timedelta(hours=1))
    decision = decide(snapshot(override=manual, **changes), Memory(at=JUST), settings, NOW)
    assert (decision.mode, decision.reason.code) == (Mode.GRID, code)
    free = {"p3_relay": changes["p3_relay"]} if "p3_relay" in changes else {}
    kind = P3_RELAY if free else SETTINGS
    assert decide(snapshot(override=manual, **free), Memory(at=JUST), kind, NOW).mode is mode, "where nothing stands in its way"


def test_a_load_that_comes_back_with_a_charge_counts_on_the_circuit():
    """As P1 is open it carries nothing now, and will in a moment."""
    for load_w, code in ((300.0, "manual"), (800.0, "over_circuit")):
        assert outcome(Mode.GRID_AND_CHARGE, snapshot(p1_on=False, load_w=load_w), ON_BATTERY)[1] == code


def test_a_stuck_load_is_not_charged_for_where_the_circuit_cannot_bear_it():
    stuck = Memory(at=JUST, p1_astray_since_s=900.0)
    assert outcome(Mode.GRID, snapshot(p1_on=False), stuck) == (Mode.GRID_AND_CHARGE, "p1_stuck_open")
    assert outcome(Mode.GRID, snapshot(p1_on=False), stuck, SMALL_CIRCUIT) == (Mode.GRID, "p1_stuck_open")


# Objections that are no emergency wait for the dwell.

JUST_OPENED = replace(ON_BATTERY, switching=Switching(p1_at=NOW - timedelta(seconds=60)))
LONG_OPEN = replace(ON_BATTERY, switching=Switching(p1_at=NOW - timedelta(seconds=400)))


@pytest.mark.parametrize("impossible", [Mode.ALL_OFF, Mode.CHARGE_ONLY])
def test_an_impossible_manual_mode_gives_the_load_back_only_after_the_dwell(impossible):
    manual = ManualMode(impossible, NOW + timedelta(hours=1))
    snap = snapshot(p1_on=False, override=manual)
    held = decide(snap, JUST_OPENED, SETTINGS, NOW)
    assert (held.mode, held.reason.code) == (Mode.BATTERY, "dwell")
    assert f"mode {int(impossible)} is not possible" in held.reason.text(SETTINGS.zone)
    over = decide(snap, LONG_OPEN, SETTINGS, NOW)
    assert (over.mode, over.reason.code) == (Mode.GRID, "mode_impossible")


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"soc_pct": 20.0}, "mode_impossible"), ({"soc_pct": None}, "mode_impossible"), ({"p1_relay": None}, "mode_impossible")],
)
@pytest.mark.parametrize("proposal", [Mode.ALL_OFF, Mode.GRID])
def test_nothing_waits_on_a_battery_that_may_not_go_on_or_for_a_relay_that_is_silent(proposal, changes, code):
    verdict = proposed(proposal, snapshot(p1_on=False, **changes), JUST_OPENED)
    assert verdict.mode is Mode.GRID
    assert verdict.reason.code == (code if proposal is Mode.ALL_OFF else "manual")


def test_a_p3_relay_that_is_not_proved_closed_does_not_wait_for_the_dwell():
    snap = snapshot(p1_on=False, p3_relay=fresh(RelayState(False)))
    assert outcome(Mode.GRID, snap, JUST_OPENED, P3_RELAY)[0] is Mode.GRID
    closed = snapshot(p1_on=False, p3_relay=fresh(RelayState(True)))
    assert outcome(Mode.GRID, closed, JUST_OPENED, P3_RELAY) == (Mode.BATTERY, "dwell")


def test_a_charge_that_may_not_go_on_ends_at_once_and_the_load_waits_for_its_dwell():
    both = replace(JUST_OPENED, mode=Mode.BATTERY_AND_CHARGE)
    charging = {"p1_on": False, "p2_on": True, "charge_w": 700.0}
    assert outcome(Mode.BATTERY_AND_CHARGE, snapshot(**charging), both)[0] is Mode.BATTERY_AND_CHARGE
    assert outcome(Mode.BATTERY_AND_CHARGE, snapshot(**charging, p2_relay=None), both) == (Mode.BATTERY, "dwell")
    assert outcome(Mode.BATTERY_AND_CHARGE, snapshot(**charging), both, SMALL_CIRCUIT) == (Mode.BATTERY, "dwell")
    only = replace(JUST_OPENED, mode=Mode.CHARGE_ONLY)
    off = snapshot(load_w=0.0, **charging, p3_relay=fresh(RelayState(False)))
    assert outcome(Mode.CHARGE_ONLY, off, only, replace(P3_RELAY, circuit_limit_w=600.0)) == (Mode.ALL_OFF, "dwell")


def test_the_days_cap_on_charges_gives_the_load_back_only_after_the_dwell():
    worn = Switching(p1_at=NOW - timedelta(seconds=60), day=NOW.date(), p2_today=99)
    both = snapshot(p1_on=False)
    held = outcome(Mode.BATTERY_AND_CHARGE, both, replace(ON_BATTERY, switching=worn))
    assert held == (Mode.BATTERY, "dwell")
    later = replace(worn, p1_at=NOW - timedelta(seconds=400))
    assert outcome(Mode.BATTERY_AND_CHARGE, both, replace(ON_BATTERY, switching=later)) == (Mode.GRID, "switching_cap")


# Motor loads.

CAREFUL = replace(SETTINGS, transfer_limit_w=150.0)


def test_a_motor_is_transferred_only_below_its_limit_and_seldom():
    assert outcome(Mode.BATTERY, snapshot(), settings=CAREFUL) == (Mode.GRID, "over_transfer")
    assert outcome(Mode.BATTERY, snapshot(load_w=100.0), settings=CAREFUL)[0] is Mode.BATTERY
    recently = Memory(at=JUST, switching=Switching(p1_at=NOW - timedelta(seconds=guard.SELDOM_S - 1)))
    assert outcome(Mode.BATTERY, snapshot(load_w=100.0), recently, CAREFUL) == (Mode.GRID, "dwell")
    assert outcome(Mode.BATTERY, snapshot(load_w=100.0), recently)[0] is Mode.BATTERY, "a load without a motor need not wait so long"
    assert outcome(Mode.GRID, snapshot(p1_on=False), ON_BATTERY, CAREFUL) == (Mode.BATTERY, "over_transfer")


@pytest.mark.parametrize("soc_pct", [20.0, 12.0, None])
@pytest.mark.parametrize("switched", [None, JUST])
def test_no_motor_and_no_dwell_holds_the_load_on_a_battery_at_its_lowest(soc_pct, switched):
    worn = Switching(p1_at=switched, day=NOW.date(), p1_today=99)
    memory = replace(ON_BATTERY, switching=worn)
    for proposal in (Mode.GRID, Mode.GRID_AND_CHARGE, Mode.BATTERY):
        verdict = proposed(proposal, snapshot(p1_on=False, soc_pct=soc_pct), memory, CAREFUL)
        assert FEEDS[verdict.mode] is Feed.GRID


# Contradictory readings.

WELDED = {
    "p1_off_but_carries": {"p1_relay": fresh(RelayState(False)), "p1": fresh(PowerReading(200.0, 230.0))},
    "p2_off_but_carries": {"p2": fresh(PowerReading(700.0, 230.0))},
    "output_off_but_carries": {"ac_output_on": False, "p1": fresh(PowerReading(0.0, 230.0)), "p3": fresh(PowerReading(200.0))},
    "both_carry": {"p3": fresh(PowerReading(150.0))},
}


@pytest.mark.parametrize("code", WELDED)
def test_readings_that_cannot_all_be_true_bring_the_load_to_the_grid_once_they_have_stood(code):
    snap = snapshot(**WELDED[code])
    first = proposed(Mode.GRID_AND_CHARGE, snap)
    assert first.contradiction == Contradiction(code, 1000.0)
    assert first.reason.code != code, "one cycle proves nothing"
    stood = proposed(Mode.GRID_AND_CHARGE, snap, Memory(at=JUST, contradiction=Contradiction(code, SINCE)))
    assert (stood.mode, stood.reason.code) == (Mode.GRID, code)
    assert stood.suspension is not None
    assert code in ALARMS
    gone = proposed(Mode.GRID_AND_CHARGE, snapshot(), Memory(at=JUST, contradiction=Contradiction(code, SINCE)))
    assert gone.contradiction is None


def test_another_contradiction_begins_anew():
    memory = Memory(at=JUST, contradiction=Contradiction("both_carry", SINCE))
    assert proposed(Mode.GRID, snapshot(**WELDED["p2_off_but_carries"]), memory).contradiction == Contradiction(
        "p2_off_but_carries", 1000.0
    )


def test_a_relay_at_p3_that_says_off_and_carries_is_one_too():
    snap = snapshot(p3_relay=fresh(RelayState(False)), p1=fresh(PowerReading(0.0, 230.0)), p3=fresh(PowerReading(200.0)))
    memory = Memory(at=JUST, contradiction=Contradiction("p3_off_but_carries", SINCE))
    assert outcome(Mode.GRID, snap, memory, P3_RELAY) == (Mode.GRID, "p3_off_but_carries")


def test_a_power_station_that_tells_more_than_its_meters_allow_is_not_believed_down_to_the_floor():
    battery = SETTINGS.battery
    observer = update(Observer(), Inputs(0.0, 0.0, 0.0, False, True, 22.0), 0.0, battery)
    doubting = replace(observer, report_s=1e6, doubt_s=600.0, reported_pct=80.0)
    memory = replace(ON_BATTERY, observer=doubting)
    decision = decide(snapshot(event=an_event(), p1_on=False), memory, SETTINGS, NOW)
    assert (decision.mode, decision.reason.code) == (Mode.GRID, "soc_doubtful")
    assert "says 80 %" in decision.reason.text(SETTINGS.zone)
    trusting = replace(ON_BATTERY, observer=replace(doubting, doubt_s=0.0, report_s=0.0))
    assert decide(snapshot(event=an_event(), p1_on=False), trusting, SETTINGS, NOW).mode is Mode.BATTERY


# P1 inside: P2 moves the load, and the safe mode is 1.


def inside(*, p2_on=True, load_w=200.0, **changes):
    """Everything well; what comes in is P2, what goes out is P3."""
    whole = snapshot(
        p1=None,
        p1_relay=None,
        p2=fresh(PowerReading(load_w if p2_on else 0.0, 230.0)),
        p2_relay=fresh(RelayState(p2_on)),
        p3=fresh(PowerReading(load_w)),
        battery=fresh(BatteryReading(80.0, ac_in_w=load_w if p2_on else 0.0, ac_output_on=True, eco_mode=False)),
    )
    return replace(whole, **changes)


FED = Memory(mode=Mode.GRID_AND_CHARGE, at=JUST)


def test_inside_the_safe_mode_charges_and_is_what_every_objection_ends_in():
    assert outcome(Mode.GRID, inside(), FED, INSIDE)[0] is Mode.GRID_AND_CHARGE
    assert outcome(Mode.BATTERY, inside(), FED, INSIDE)[0] is Mode.BATTERY
    drained = inside(battery=fresh(BatteryReading(18.0, ac_in_w=200.0, ac_output_on=True)))
    assert outcome(Mode.BATTERY, drained, FED, INSIDE) == (Mode.GRID_AND_CHARGE, "lowest_reached")
    assert outcome(Mode.GRID_AND_CHARGE, inside(p2_relay=None), FED, INSIDE)[0] is Mode.GRID_AND_CHARGE, "nothing is safer than the grid"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"p2_relay": None}, "p2_unknown"),
        ({"p2_relay": fresh(RelayState(True, timer_fired=True))}, "p2_astray"),
        ({"battery": fresh(BatteryReading(80.0, ac_in_w=0.0, ac_output_on=False))}, "p3_lost"),
    ],
)
def test_inside_a_fault_on_the_battery_closes_p2_at_once(changes, code):
    assert outcome(Mode.BATTERY, inside(p2_on=False, **changes), ON_BATTERY, INSIDE) == (Mode.GRID_AND_CHARGE, code)


def test_inside_p2_needs_the_proof_and_an_open_p2_that_will_not_close_is_an_alarm():
    unproved = inside(p2_relay=fresh(RelayState(True, deadman_proved=False)))
    assert outcome(Mode.BATTERY, unproved, FED, replace(INSIDE, deadman_proof=True)) == (Mode.GRID_AND_CHARGE, "p2_deadman_unproved")
    stuck = replace(FED, p1_astray_since_s=900.0)
    assert outcome(Mode.GRID, inside(p2_on=False), stuck, INSIDE) == (Mode.GRID_AND_CHARGE, "p2_stuck_open")


def test_inside_a_silent_p2_is_no_outage_while_power_comes_in_and_is_one_while_none_does():
    silent = {"p2": None, "p2_relay": None}
    assert outcome(Mode.BATTERY, inside(**silent), FED, INSIDE) == (Mode.GRID_AND_CHARGE, "p2_unknown")
    dark = inside(**silent, battery=fresh(BatteryReading(80.0, ac_in_w=0.0, ac_output_on=True)))
    assert outcome(Mode.BATTERY, dark, FED, INSIDE) == (Mode.GRID_AND_CHARGE, "grid_outage")
    assert outcome(Mode.GRID, dark, ON_BATTERY, INSIDE) == (Mode.BATTERY, "grid_outage")


def test_inside_the_dwell_and_the_cap_count_the_load_and_never_keep_it_off_the_grid():
    worn = replace(FED, switching=Switching(p1_at=NOW - timedelta(seconds=60), p2_at=NOW - timedelta(seconds=60)))
    assert outcome(Mode.BATTERY, inside(), worn, INSIDE) == (Mode.GRID_AND_CHARGE, "dwell")
    tired = replace(ON_BATTERY, switching=Switching(day=NOW.date(), p1_today=99, p2_today=99))
    assert outcome(Mode.GRID, inside(p2_on=False), tired, INSIDE)[0] is Mode.GRID_AND_CHARGE


# Inverter priority: P3 moves the load, and off is safe.


def first(*, p3_on=False, load_w=200.0, **changes):
    whole = snapshot(
        load_w=load_w,
        p1=fresh(PowerReading(0.0 if p3_on else load_w, 230.0)),
        p3=fresh(PowerReading(load_w if p3_on else 0.0, 230.0)),
        p3_relay=fresh(RelayState(p3_on)),
    )
    return replace(whole, **changes)


def test_with_inverter_priority_p3_closes_for_the_event_though_it_is_open_before():
    assert outcome(Mode.BATTERY, first(), settings=INVERTER) == (Mode.BATTERY, "manual")
    assert outcome(Mode.BATTERY, first(p3_relay=None), settings=INVERTER) == (Mode.GRID, "p3_unknown")
    unproved = first(p3_relay=fresh(RelayState(False, deadman_proved=False)))
    assert outcome(Mode.BATTERY, unproved, settings=replace(INVERTER, deadman_proof=True)) == (Mode.GRID, "p3_deadman_unproved")


def test_with_inverter_priority_a_load_that_was_off_is_seen_on_the_grid_before_the_battery_takes_it():
    off = Memory(mode=Mode.ALL_OFF, at=JUST)
    dark = first(load_w=0.0)
    assert outcome(Mode.BATTERY, dark, off, INVERTER) == (Mode.GRID, "p3_not_closed")


def test_with_inverter_priority_a_p3_that_opens_or_will_not_open_is_noticed():
    fired = first(p3_relay=fresh(RelayState(False, timer_fired=True)))
    assert outcome(Mode.BATTERY, fired, ON_BATTERY, INVERTER) == (Mode.GRID, "p3_astray")
    stuck = Memory(at=JUST, p1_astray_since_s=900.0)
    assert outcome(Mode.GRID, first(p3_on=True), stuck, INVERTER) == (Mode.GRID_AND_CHARGE, "p3_stuck_closed")


def test_with_inverter_priority_the_dwell_counts_the_transfers_that_p3_makes():
    verdict = proposed(Mode.BATTERY, first(), settings=INVERTER)
    record = guard.switched(Switching(), Mode.GRID, verdict.mode, NOW, INVERTER)
    assert (record.p1_at, record.p1_today) == (NOW, 1)
    again = Memory(at=JUST, switching=record)
    later = guard.check(Proposal(Mode.BATTERY, Reason("manual", (NOW,))), resolve(first(), INVERTER), again, NOW, 20.0, INVERTER)
    assert later.reason.code == "dwell"


# All of them.

KINDS = {"ordinary": SETTINGS, "P1 inside": INSIDE, "inverter first": INVERTER, "relay at P3": P3_RELAY}
seen = st.sampled_from([None, True, False])
power = st.one_of(st.none(), st.sampled_from([0.0, 3.0, 200.0, 5000.0, float("nan")]))


@pytest.mark.parametrize("kind", KINDS)
@given(
    mode=st.sampled_from(Mode),
    before=st.sampled_from(Mode),
    states=st.tuples(seen, seen, seen),
    powers=st.tuples(power, power, power),
    soc_pct=st.one_of(st.none(), st.floats(0, 100)),
    output=seen,
    age_s=st.sampled_from([0.0, 8.0, 40.0]),
    since_s=st.one_of(st.none(), st.floats(0, 2000)),
)
def test_whatever_is_read_the_verdict_is_possible_has_words_and_drains_no_battery_at_its_lowest(
    kind, mode, before, states, powers, soc_pct, output, age_s, since_s
):
    settings = KINDS[kind]
    relays = [Observed(RelayState(state), age_s) for state in states]
    meters = [Observed(PowerReading(watts, 230.0), age_s) for watts in powers]
    battery = fresh(BatteryReading(soc_pct, ac_in_w=0.0, ac_output_on=output))
    names = ("p1", "p2", "p3")
    snap = replace(
        snapshot(battery=battery, override=ManualMode(mode, NOW + timedelta(hours=1))),
        **dict(zip(names, meters, strict=True)),
        **{f"{name}_relay": relay for name, relay in zip(names, relays, strict=True)},
    )
    memory = Memory(mode=settings.board.possible(before), at=JUST, p1_astray_since_s=since_s)
    decision = decide(snap, memory, settings, NOW)
    assert decision.mode in settings.allowed or decision.reason.code in {"grid_outage", "dwell", "over_transfer"}
    assert decision.reason.text(settings.zone)
    known = soc_pct is not None
    if FEEDS[decision.mode] is Feed.BATTERY and decision.reason.code != "grid_outage":
        assert known
        assert soc_pct > 20.0
        assert output is not False, "with the output unknown, the voltage at P3 may prove it"


def test_every_alarm_has_words():
    assert set(_WORDS) >= ALARMS
