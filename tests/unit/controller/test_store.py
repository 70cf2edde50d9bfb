"""The controller's state on disk."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.controller import store
from services.controller.model import Interval, ManualMode, Memory, Suspension, Switching
from services.controller.reasons import Reason
from services.core.event_book import Book
from services.core.goals import Goal, GoalKind
from services.core.modes import Mode
from tests.unit.controller.conftest import NOW, an_event

FULL = store.State(
    book=Book(events={"e1": an_event(goal=Goal(GoalKind.PLEDGE, 150.0))}, archived={"old": NOW}),
    memory=Memory(
        at=NOW,
        mode=Mode.BATTERY,
        switching=Switching(NOW, None, NOW.date(), 3, 1),
        interval=Interval("e1", NOW, NOW + timedelta(hours=1), 120.0, -4.5, 600.0, 20.0, 3.0, 23.0),
        suspension=Suspension(NOW, Reason("p3_lost", ("silent", NOW))),
        low=True,
    ),
    override=ManualMode(Mode.GRID, NOW),
)


def test_everything_comes_back_as_it_was(tmp_path):
    path = tmp_path / "state.json"
    store.save(path, FULL)
    assert store.load(path) == FULL


def test_where_nothing_was_saved_the_book_is_empty(tmp_path):
    assert store.load(tmp_path / "state.json") == store.State()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version":1,"book":7}', b"\xff\xfe", b'{"version":1,"memory":{"mode":9}}'])
def test_a_damaged_file_is_kept_aside_and_said_so(tmp_path, damage):
    path = tmp_path / "state.json"
    path.write_bytes(damage)
    with pytest.raises(store.StateUnusable, match=r"kept as state\.damaged"):
        store.load(path)
    assert path.with_suffix(".damaged").read_bytes() == damage
    assert store.load(path) == store.State()


def test_a_file_of_a_later_version_is_left_alone(tmp_path):
    path = tmp_path / "state.json"
    store.save(path, replace(FULL, version=store.VERSION + 1))
    with pytest.raises(store.StateTooNew):
        store.load(path)
    assert path.exists()
