"""Testing a relay without commanding it: the controller is asked for a mode in which it stands otherwise, and the read-back is watched.

The guard, the least time between two switchings and the dead-man hold as on any other day, so a test may take minutes or be declined.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.core.modes import Mode, Switchboard

LASTS = timedelta(minutes=15)
"""Station time after which the controller takes the mode back by itself, whatever becomes of the test; by then it has failed."""
PREFERRED = (Mode.GRID, Mode.GRID_AND_CHARGE, Mode.BATTERY, Mode.BATTERY_AND_CHARGE)
"""Modes that keep the load powered, the mildest first."""


class Stage(StrEnum):
    """Where a test stands."""

    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SwitchTest:
    """The test of the relay at one position."""

    position: str
    mode: Mode
    """The mode that is asked for."""
    wanted_on: bool
    """How the relay stands in it."""
    began: datetime
    """Station time."""
    stage: Stage = Stage.WAITING


def plan(position: str, relay_on: bool | None, board: Switchboard, possible: list[Mode], now: datetime) -> SwitchTest | None:
    """The mildest mode in which the relay would stand otherwise than now; None while its state is unknown, or if there is none."""
    if relay_on is None:
        return None
    for mode in PREFERRED:
        if mode in possible and getattr(board.relays[mode], position) not in (None, relay_on):
            return SwitchTest(position, mode, not relay_on, now)
    return None


def looked(test: SwitchTest, relay_on: bool | None, now: datetime) -> SwitchTest:
    """The test after a look at the relay's read-back."""
    if test.stage is not Stage.WAITING:
        return test
    # Whatever it reads back by now is the station's own doing, or somebody's.
    if now - test.began > LASTS:
        return replace(test, stage=Stage.FAILED)
    return replace(test, stage=Stage.PASSED) if relay_on is test.wanted_on else test


def holds(test: SwitchTest, manual: Mode | None, now: datetime) -> bool:
    """Whether the station may be held in the test's mode still; `manual` is the mode by hand that it follows, None while that is not known.

    Another mode by hand is a person's choice since, and so is any once the test's time is over.
    """
    return now - test.began <= LASTS and manual in (None, test.mode)
