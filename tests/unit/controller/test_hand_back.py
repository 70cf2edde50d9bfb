"""A person's word: the manual mode that wins over everything but safety, and opting out in the middle of an event."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.controller.decide import decide
from services.controller.model import ManualMode, Memory, Switching
from services.core.event_book import Book, advance, cancel, current, opt_in
from services.core.events import EventStatus
from services.core.modes import Mode
from services.core.quiet import parse_hours
from tests.unit.controller.conftest import NOW, SETTINGS, STATION, an_event, snapshot

MINUTE = timedelta(minutes=1)


def manual(mode, hours=1.0):
    return ManualMode(mode, NOW + timedelta(hours=hours))


def test_a_manual_mode_wins_over_an_event_and_over_the_daily_cycle_until_its_end():
    seen = snapshot(event=an_event(), override=manual(Mode.GRID))
    decision = decide(seen, Memory(), SETTINGS, NOW)
    assert (decision.mode, decision.reason.code) == (Mode.GRID, "manual")
    assert decision.next_change == NOW + timedelta(hours=1)
    after = decide(seen, Memory(), SETTINGS, NOW + timedelta(hours=1))
    assert (after.mode, after.reason.code != "manual") == (Mode.BATTERY, True)


def test_a_manual_charge_wins_over_the_persons_own_quiet_hours():
    quiet = replace(STATION.preferences.preferences(), quiet_hours=parse_hours("00:00-23:59"))
    seen = snapshot(soc_pct=50.0, preferences=quiet, override=manual(Mode.GRID_AND_CHARGE))
    assert decide(seen, Memory(), SETTINGS, NOW).mode is Mode.GRID_AND_CHARGE


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"soc_pct": 20.0}, "lowest_reached"),
        ({"ac_output_on": False}, "p3_not_alive"),
        ({"soc_pct": None}, "soc_unknown"),
        ({"load_w": 1750.0}, "over_inverter"),
        ({"p1_relay": None}, "p1_unknown"),
    ],
)
def test_it_does_not_win_over_safety(changes, code):
    decision = decide(snapshot(override=manual(Mode.BATTERY), **changes), Memory(), SETTINGS, NOW)
    assert (decision.mode, decision.reason.code) == (Mode.GRID, code)


def test_it_does_not_charge_above_the_circuits_limit_nor_switch_within_the_dwell():
    charge = decide(snapshot(load_w=900.0, soc_pct=50.0, override=manual(Mode.GRID_AND_CHARGE)), Memory(), SETTINGS, NOW)
    assert (charge.mode, charge.reason.code) == (Mode.GRID, "over_circuit")
    just_closed = Memory(switching=Switching(p1_at=NOW - MINUTE, day=NOW.date(), p1_today=2))
    waiting = decide(snapshot(override=manual(Mode.BATTERY)), just_closed, SETTINGS, NOW)
    assert (waiting.mode, waiting.reason.code) == (Mode.GRID, "dwell")


def held(minutes):
    """An event on battery for so many minutes: its book, and the memory."""
    book = advance(Book().with_event(an_event(status=EventStatus.SCHEDULED)), NOW)
    memory, p1_on = Memory(), True
    for minute in range(minutes + 1):
        now = NOW + minute * MINUTE
        decision = decide(snapshot(event=current(book), p1_on=p1_on), memory, SETTINGS, now)
        memory, p1_on = decision.memory, decision.mode is not Mode.BATTERY
    assert not p1_on
    return book, memory


@pytest.mark.parametrize("opted_out", [True, False])
def test_out_of_an_event_in_its_middle_the_load_goes_back_at_once_and_nothing_of_it_stays(opted_out):
    book, memory = held(10)
    now = NOW + 11 * MINUTE
    book, _ = cancel(book, "e1", now, opted_out=opted_out)
    decision = decide(snapshot(event=current(book), p1_on=False), memory, SETTINGS, now)
    assert (decision.mode, decision.phase, decision.event_id) == (Mode.GRID, "normal", None)
    assert decision.memory.interval is None
    assert decision.reason.code == "resting_after_event", "an emptier battery is no reason to draw more in the event's hours"
    later = decide(snapshot(event=None, soc_pct=60.0), decision.memory, SETTINGS, now + SETTINGS.control.recharge_after)
    assert later.mode is Mode.GRID_AND_CHARGE
    assert decision.memory.ease_until is None, "who opts out wants the grid now, not after the easing back"


def test_opting_out_within_the_dwell_waits_for_the_relays_sake_and_says_so():
    book, memory = held(2)
    book, _ = cancel(book, "e1", NOW + 3 * MINUTE, opted_out=True)
    decision = decide(snapshot(event=current(book), p1_on=False), memory, SETTINGS, NOW + 3 * MINUTE)
    assert (decision.mode, decision.reason.code) == (Mode.BATTERY, "dwell")
    after = decide(snapshot(event=current(book), p1_on=False), decision.memory, SETTINGS, NOW + 6 * MINUTE)
    assert after.mode is Mode.GRID


def test_in_again_the_event_goes_on():
    book, memory = held(10)
    book, _ = cancel(book, "e1", NOW + 11 * MINUTE, opted_out=True)
    memory = decide(snapshot(event=current(book), p1_on=False), memory, SETTINGS, NOW + 11 * MINUTE).memory
    book, _ = opt_in(book, "e1", NOW + 30 * MINUTE)
    book = advance(book, NOW + 30 * MINUTE)
    decision = decide(snapshot(event=current(book)), memory, SETTINGS, NOW + 30 * MINUTE)
    assert (decision.mode, decision.phase) == (Mode.BATTERY, "ongoing")
