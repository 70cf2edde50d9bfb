"""Deciding by the observer's estimate: a power station that is silent, and one that has no data link at all."""

import json
from dataclasses import replace
from datetime import time, timedelta

import pytest

from services.controller import store
from services.controller.calibration import EVERY_S
from services.controller.decide import decide
from services.controller.model import Memory, Settings
from services.controller.view import resolve
from services.core.modes import SAFE_MODE, Mode
from services.core.observer import Inputs, Observer, estimate, update
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState
from tests.unit.controller.conftest import NOW, SETTINGS, STATION, an_event, fresh, snapshot

UNLINKED = replace(SETTINGS, data_link=False, panel=False)
BOX = SETTINGS.battery
REST = Inputs(0.0, 0.0, 0.0, False, True)
NIGHT = NOW.replace(hour=1)  # 03:00 in Paris: the daily cycle may charge
DAY_S = 86400.0


def observed(soc_pct, *, deviation_pct=3.0, since_full_s=DAY_S):
    """An observer that knows the charge so well."""
    state = update(Observer(), REST._replace(report_pct=soc_pct), 0.0, BOX)
    rows = ((((deviation_pct / 100.0) * BOX.capacity_wh) ** 2, *state.fit.covariance[0][1:]), *state.fit.covariance[1:])
    return replace(state, fit=state.fit._replace(covariance=rows), since_full_s=since_full_s)


def seen(observer):
    found = estimate(observer, BOX)
    assert found is not None
    return found


def unlinked(load_w=200.0, *, p1_on=True, p3_v=230.0, **changes):
    """A snapshot without the power station's word; P3 has a meter of its own."""
    p3 = fresh(PowerReading(0.0 if p1_on else load_w, p3_v))
    return snapshot(load_w=load_w, p1_on=p1_on, **{"battery": None, "p3": p3, "p3_relay": fresh(RelayState(True)), "p4": None, **changes})


def decided(snap, observer, settings=UNLINKED, now=NOW, **memory):
    return decide(snap, Memory(at=now - timedelta(seconds=1), observer=observer, **memory), settings, now)


def test_p3_voltage_proves_that_the_output_is_alive_where_the_station_says_nothing():
    assert resolve(unlinked(), UNLINKED).p3_alive is True
    assert resolve(unlinked(p3_v=3.0), UNLINKED).p3_alive is False
    assert resolve(unlinked(p3_v=None), UNLINKED).p3_alive is None
    assert resolve(unlinked(p3_v=float("nan")), UNLINKED).p3_alive is None
    assert resolve(unlinked(p3=Observed(PowerReading(0.0, 230.0), UNLINKED.alive_within_s + 1)), UNLINKED).p3_alive is None


def test_behind_an_open_relay_p3_is_not_alive():
    view = resolve(unlinked(p3_relay=fresh(RelayState(False))), UNLINKED)
    assert (view.output_on, view.p3_alive) == (True, False)


@pytest.mark.parametrize(
    ("reading", "alive"),
    [
        (BatteryReading(80.0, ac_output_on=False), False),
        (BatteryReading(80.0, ac_output_on=True, eco_mode=True), False),
        (BatteryReading(80.0, ac_output_on=None, eco_mode=True), False),
        (BatteryReading(80.0, ac_output_on=None), True),
    ],
)
def test_the_stations_own_word_counts_before_the_voltage(reading, alive):
    assert resolve(unlinked(battery=fresh(reading)), SETTINGS).p3_alive is alive


def test_an_event_runs_on_the_estimate_alone():
    decision = decided(unlinked(event=an_event()), observed(80.0))
    assert decision.mode is Mode.BATTERY
    assert "battery at 75 %" in decision.reason.text(SETTINGS.zone), "80 % less the lower half of the band"


def test_the_lower_bound_decides_when_the_battery_counts_as_empty():
    sure, unsure = observed(70.0, deviation_pct=1.0), observed(30.0, deviation_pct=7.0)
    assert decided(unlinked(event=an_event()), sure).mode is Mode.BATTERY
    decision = decided(unlinked(event=an_event(), p1_on=False), unsure, mode=Mode.BATTERY)
    assert (decision.mode, decision.reason.code) == (SAFE_MODE, "lowest_reached")


def test_a_linked_station_that_falls_silent_is_gone_on_with_by_its_lower_bound():
    silent = snapshot(event=an_event(), battery=None, p3=fresh(PowerReading(0.0, 230.0)))
    assert decided(silent, observed(80.0), SETTINGS).mode is Mode.BATTERY
    assert decided(silent, Observer(), SETTINGS).reason.code == "soc_unknown"


def test_what_the_station_says_counts_before_the_estimate():
    decision = decided(snapshot(event=an_event(), soc_pct=60.0), observed(90.0), SETTINGS)
    assert "battery at 60 %" in decision.reason.text(SETTINGS.zone)


def test_the_observer_lives_in_the_memory_with_or_without_readings():
    memory = Memory()
    for minute in range(61):
        snap = snapshot(p1_on=False, load_w=170.0)
        memory = decide(snap, replace(memory, mode=Mode.BATTERY), SETTINGS, NOW + timedelta(minutes=minute)).memory
    told = seen(memory.observer)
    state = memory
    for minute in range(61, 121):
        snap = unlinked(170.0, p1_on=False)
        state = decide(snap, replace(state, mode=Mode.BATTERY), UNLINKED, NOW + timedelta(minutes=minute)).memory
    # An hour of 170 W / 0.85 and 9 W of idle draw, of 1152 Wh.
    assert told.soc_pct - seen(state.observer).soc_pct == pytest.approx(100 * 209 / 1152, abs=0.3)


def test_time_without_decisions_is_time_without_readings():
    memory = Memory(at=NOW, observer=observed(80.0, deviation_pct=1.0))
    soon = decide(unlinked(), memory, UNLINKED, NOW + timedelta(seconds=60)).memory.observer
    late = decide(unlinked(), memory, UNLINKED, NOW + timedelta(hours=1)).memory.observer
    assert seen(late).high - seen(late).low > 5 * (seen(soon).high - seen(soon).low)


def test_what_passes_through_the_station_does_not_count_as_charge():
    through = replace(SETTINGS, hardware=replace(SETTINGS.hardware, passthrough=True))
    snap = snapshot(p2_on=True, charge_w=300.0, battery=None, p3=fresh(PowerReading(290.0, 230.0)))
    before = observed(50.0)
    memory = Memory(at=NOW - timedelta(minutes=5), observer=before)
    moved = decide(snap, memory, through, NOW).memory.observer.stored_wh - before.stored_wh
    assert moved == pytest.approx((10.0 * BOX.charge_efficiency - BOX.idle_w) / 12, abs=0.01)


def test_a_station_without_a_link_asks_for_a_full_charge_at_the_start_and_once_a_week():
    first = decided(unlinked(), Observer(), now=NIGHT)
    assert (first.mode, first.reason.code) == (Mode.GRID_AND_CHARGE, "calibrating_first")
    assert first.reason.text(SETTINGS.zone)
    lost = replace(Observer(), since_full_s=DAY_S)
    assert decided(unlinked(), lost, now=NIGHT).mode is Mode.GRID_AND_CHARGE, "a long gap, and all is forgotten"
    rested = decided(unlinked(), observed(95.0, deviation_pct=1.0, since_full_s=6 * DAY_S), now=NIGHT)
    assert rested.mode is SAFE_MODE
    due = decided(unlinked(), observed(95.0, deviation_pct=1.0, since_full_s=EVERY_S), now=NIGHT)
    assert (due.mode, due.reason.code) == (Mode.GRID_AND_CHARGE, "calibrating")
    assert "7 days" in due.reason.text(SETTINGS.zone)


def test_a_full_charge_to_calibrate_waits_for_its_hours():
    due = observed(95.0, since_full_s=2 * EVERY_S)
    quiet = replace(UNLINKED, cycle=SETTINGS.cycle.model_copy(update={"quiet_from": time(22), "quiet_until": time(7)}))
    assert decided(unlinked(), due, quiet, NIGHT).reason.code != "calibrating"
    assert decided(unlinked(), due, quiet, NIGHT + timedelta(hours=6)).reason.code == "calibrating"
    evening = NOW + timedelta(hours=7)
    assert decided(unlinked(), due, now=evening).reason.code != "calibrating", "the hours of discharge"
    assert decided(unlinked(event=an_event()), due).reason.code != "calibrating", "an event"
    assert decided(unlinked(), due, now=NIGHT, ease_until=NIGHT).reason.code != "calibrating", "the rest after an event"
    assert decided(snapshot(), due, SETTINGS, NIGHT).reason.code != "calibrating", "a station that says its charge itself"


def test_even_a_blind_charge_keeps_the_circuits_limit():
    assert decided(unlinked(900.0), Observer(), now=NIGHT).reason.code == "over_circuit"


def test_the_full_charge_ends_where_full_is_seen():
    memory = Memory(at=NIGHT, observer=observed(97.0, since_full_s=EVERY_S))
    done, now = [], NIGHT
    for watts in [700.0] * 5 + [200.0] * 5 + [11.0] * 5:
        now += timedelta(minutes=1)
        decision = decide(unlinked(p2_on=True, charge_w=watts), memory, UNLINKED, now)
        memory = decision.memory
        done.append((decision.mode, decision.reason.code))
    assert set(done[:10]) == {(Mode.GRID_AND_CHARGE, "calibrating")}
    assert done[-1] == (SAFE_MODE, "resting")
    assert "100 %" in decision.reason.text(SETTINGS.zone)


def test_the_observer_comes_back_from_the_disk_as_it_was(tmp_path):
    state = observed(70.0)
    state = update(state, REST._replace(p3_w=150.0), 600.0, BOX)
    store.save(tmp_path / "state.json", store.State(memory=Memory(observer=state)))
    assert store.load(tmp_path / "state.json").memory.observer == state


def test_a_state_file_from_before_there_was_an_observer_still_loads(tmp_path):
    path = tmp_path / "state.json"
    store.save(path, store.State(memory=Memory(mode=Mode.BATTERY)))
    body = json.loads(path.read_text())
    del body["memory"]["observer"]
    path.write_text(json.dumps(body))
    assert store.load(path).memory == Memory(mode=Mode.BATTERY)


def test_settings_of_a_station_without_a_link():
    battery = STATION.battery.model_copy(update={"driver": "none", "poll_s": 60.0})
    settings = Settings.of(STATION.model_copy(update={"battery": battery}))
    assert not settings.data_link
    assert settings.alive_within_s == 5.0, "P3's own meter gives the sign of life, not a poll of the station"
