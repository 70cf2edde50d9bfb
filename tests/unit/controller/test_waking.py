"""Waking a power station that has fallen silent, by charging it for a few minutes."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from services.controller.decide import decide
from services.controller.model import Memory
from services.controller.waking import EVERY, LONGEST
from services.core.modes import SAFE_MODE, Mode
from services.core.readings import PowerReading
from tests.unit.controller.conftest import NOW, SETTINGS, an_event, fresh, snapshot


def silent(**changes):
    return snapshot(**{"battery": None, "silent": True, **changes})


def run(minutes, memory=None, settings=SETTINGS, now=NOW, **changes):
    """Each minute's mode while the station stays silent."""
    memory, modes = memory or Memory(), []
    for minute in range(minutes):
        decision = decide(silent(p2_on=memory.mode is Mode.GRID_AND_CHARGE, **changes), memory, settings, now + timedelta(minutes=minute))
        memory = decision.memory
        modes.append(decision.mode)
    return modes, memory


def test_it_is_charged_for_ten_minutes_and_then_left_alone_for_hours():
    modes, memory = run(60)
    charged = timedelta(minutes=modes.count(Mode.GRID_AND_CHARGE))
    assert modes[0] is Mode.GRID_AND_CHARGE
    assert charged <= LONGEST
    assert set(modes[10:]) == {SAFE_MODE}
    later, _ = run(1, memory, now=NOW + EVERY - timedelta(minutes=1))
    again, _ = run(1, memory, now=NOW + EVERY)
    assert (later, again) == ([SAFE_MODE], [Mode.GRID_AND_CHARGE])


def test_the_reason_says_why():
    reason = decide(silent(), Memory(), SETTINGS, NOW).reason
    assert reason.text(SETTINGS.zone) == "the power station does not answer: charging until 14:10 to wake it"


def test_it_ends_as_soon_as_the_station_answers():
    _, memory = run(3)
    decision = decide(snapshot(p2_on=True, charge_w=700.0, soc_pct=88.0), memory, SETTINGS, NOW + timedelta(minutes=3))
    assert decision.mode is SAFE_MODE


QUIET = replace(SETTINGS, cycle=SETTINGS.cycle.model_copy(update={"quiet_from": time(13), "quiet_until": time(15)}))


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({"silent": False}, SETTINGS),
        ({"event": an_event()}, SETTINGS),
        ({"event": an_event(start=NOW + timedelta(hours=2))}, SETTINGS),
        ({}, QUIET),
        ({}, replace(SETTINGS, data_link=False)),
        ({"p3": fresh(PowerReading(0.0, 230.0))}, SETTINGS),
        ({"load_w": 900.0}, SETTINGS),
    ],
    ids=["it answers", "an event", "an event to come", "quiet hours", "no data link", "P3 lives", "the circuit's limit"],
)
def test_it_is_not_woken(changes, settings):
    assert decide(silent(**changes), Memory(), settings, NOW).reason.code != "waking"


def test_nor_while_it_rests_after_an_event():
    assert decide(silent(), Memory(ease_until=NOW), SETTINGS, NOW).reason.code != "waking"


def test_a_clock_that_was_set_back_does_not_forbid_it_for_hours():
    modes, _ = run(1, Memory(woken_at=NOW + timedelta(days=300)))
    assert modes == [Mode.GRID_AND_CHARGE]
