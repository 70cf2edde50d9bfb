"""Which modes a hardware allows, and that it is told why not."""

import pytest

from services.core.modes import RELAYS, AtsPriority, Hardware, Mode, Relays, allowed_modes, mode_of, refusal

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
