"""Which modes a hardware allows, and that it is told why not."""

import pytest

from services.core.modes import (
    CHARGES,
    FEEDS,
    RELAYS,
    AtsPriority,
    Feed,
    Hardware,
    Mode,
    Relays,
    allowed_modes,
    mode_of,
    refusal,
    switchboard,
)
from services.core.positions import Position

PLAIN = Hardware(p1_relay=True, p2_relay=True, p3_actuator=False, ats_priority=AtsPriority.GRID)


def test_without_an_actuator_at_p3_the_load_cannot_be_switched_off():
    assert allowed_modes(PLAIN) == {Mode.GRID_AND_CHARGE, Mode.GRID, Mode.BATTERY_AND_CHARGE, Mode.BATTERY}
    assert "P3" in (refusal(Mode.ALL_OFF, PLAIN) or "")


def test_with_an_actuator_at_p3_every_mode_is_allowed():
    assert allowed_modes(Hardware(True, True, True, AtsPriority.GRID)) == set(Mode)


def test_inverter_priority_without_an_actuator_makes_the_safe_mode_impossible():
    hardware = Hardware(True, True, False, AtsPriority.INVERTER)
    assert Mode.GRID not in allowed_modes(hardware)
    assert Mode.GRID in allowed_modes(Hardware(True, True, True, AtsPriority.INVERTER))


def test_an_unknown_transfer_switch_keeps_p1_closed():
    allowed = allowed_modes(Hardware(True, True, False, AtsPriority.UNKNOWN))
    assert all(RELAYS[mode].p1 for mode in allowed)


@pytest.mark.parametrize("mode", Mode)
def test_the_relays_of_a_mode_make_that_mode(mode):
    assert mode_of(RELAYS[mode], p3_switchable=True) is mode


def test_an_unknown_relay_makes_no_mode():
    assert mode_of(Relays(True, None, True), p3_switchable=True) is None


def test_without_a_relay_at_p3_its_state_is_not_asked():
    assert mode_of(Relays(False, False, None), p3_switchable=False) is Mode.BATTERY


INVERTER_FIRST = Hardware(True, True, True, AtsPriority.INVERTER)
INSIDE = Hardware(False, True, True, AtsPriority.UNKNOWN, passthrough=True, p1_inside=True)
KINDS = [PLAIN, Hardware(True, True, True, AtsPriority.GRID), INVERTER_FIRST, INSIDE]


@pytest.mark.parametrize("hardware", KINDS)
@pytest.mark.parametrize("mode", Mode)
def test_what_a_mode_sets_is_recognised_as_that_mode_again(hardware, mode):
    board = switchboard(hardware)
    if mode in board.allowed:
        assert board.mode_of(board.relays[mode]) is mode


@pytest.mark.parametrize("hardware", KINDS)
def test_the_safe_mode_is_possible_feeds_the_load_from_the_grid_and_charges_only_where_nothing_else_is_possible(hardware):
    board = switchboard(hardware)
    assert board.safe_mode in board.allowed
    assert FEEDS[board.safe_mode] is Feed.GRID
    assert (board.safe_mode in CHARGES) == hardware.p1_inside == board.rests_charging


@pytest.mark.parametrize("hardware", KINDS)
def test_the_relay_that_moves_the_load_leaves_its_safe_state_exactly_when_the_battery_takes_over(hardware):
    board = switchboard(hardware)
    for mode in board.allowed - {mode for mode in Mode if FEEDS[mode] is Feed.NOTHING}:
        left = board.relays[mode].at(board.transfer) != board.safe(board.transfer)
        assert left == (FEEDS[mode] is Feed.BATTERY)


def test_with_inverter_priority_p1_stands_by_while_the_battery_feeds_the_load():
    board = switchboard(INVERTER_FIRST)
    assert (board.transfer, board.safe(Position.P3)) == (Position.P3, False)
    assert board.relays[Mode.BATTERY] == Relays(True, False, True)
    assert board.relays[Mode.GRID] == Relays(True, False, False)


def test_a_resting_proposal_becomes_the_safe_mode_where_the_grid_cannot_feed_the_load_without_charging():
    assert switchboard(INSIDE).possible(Mode.GRID) is Mode.GRID_AND_CHARGE
    assert switchboard(INSIDE).possible(Mode.BATTERY) is Mode.BATTERY
    assert switchboard(PLAIN).possible(Mode.GRID) is Mode.GRID
