"""The switch test: only modes that keep the load powered, and a verdict from what the relay reads back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.modes import FEEDS, AtsPriority, Feed, Hardware, Mode, switchboard
from services.gateway.switch_test import LASTS, Stage, holds, looked, plan

BOARD = switchboard(Hardware(p1_relay=True, p2_relay=True, p3_actuator=False, ats_priority=AtsPriority.GRID))
NOW = datetime(2026, 7, 1, 16, tzinfo=UTC)
POSSIBLE = [mode for mode in Mode if mode in BOARD.allowed]


@pytest.mark.parametrize(
    ("position", "on", "mode"),
    [("p1", True, Mode.BATTERY), ("p1", False, Mode.GRID), ("p2", False, Mode.GRID_AND_CHARGE), ("p2", True, Mode.GRID)],
)
def test_the_mildest_mode_that_switches_it_is_asked_for(position: str, on: bool, mode: Mode) -> None:
    test = plan(position, on, BOARD, POSSIBLE, NOW)
    assert test is not None
    assert (test.mode, test.wanted_on) == (mode, not on)


def test_an_unknown_relay_is_not_tested() -> None:
    assert plan("p1", None, BOARD, POSSIBLE, NOW) is None
    assert plan("p1", True, BOARD, [Mode.GRID], NOW) is None


@given(st.sampled_from(["p1", "p2", "p3"]), st.sampled_from([True, False]), st.builds(
    Hardware, st.just(True), st.just(True), st.booleans(), st.sampled_from([AtsPriority.GRID, AtsPriority.INVERTER]), st.booleans()
))  # fmt: skip
def test_a_test_never_takes_the_power_from_the_load(position: str, on: bool, hardware: Hardware) -> None:
    board = switchboard(hardware)
    test = plan(position, on, board, [mode for mode in Mode if mode in board.allowed], NOW)
    assert test is None or (FEEDS[test.mode] is not Feed.NOTHING and test.mode in board.allowed)


def test_it_passes_by_the_read_back_fails_by_time_and_then_stands() -> None:
    test = plan("p2", False, BOARD, POSSIBLE, NOW)
    assert test is not None
    assert looked(test, False, NOW + LASTS).stage is Stage.WAITING
    assert looked(test, None, NOW).stage is Stage.WAITING
    passed = looked(test, True, NOW)
    assert passed.stage is Stage.PASSED
    assert looked(passed, False, NOW + 2 * LASTS).stage is Stage.PASSED
    assert looked(test, False, NOW + LASTS + timedelta(seconds=1)).stage is Stage.FAILED


def test_what_the_relay_reads_back_after_its_time_is_no_pass() -> None:
    test = plan("p2", False, BOARD, POSSIBLE, NOW)
    assert test is not None
    assert looked(test, True, NOW + LASTS + timedelta(seconds=1)).stage is Stage.FAILED


def test_only_its_own_mode_is_let_go_of_and_only_while_it_lasts() -> None:
    test = plan("p2", False, BOARD, POSSIBLE, NOW)
    assert test is not None
    assert holds(test, test.mode, NOW + LASTS)
    assert holds(test, None, NOW)
    assert not holds(test, Mode.BATTERY, NOW)
    assert not holds(test, test.mode, NOW + LASTS + timedelta(seconds=1))
