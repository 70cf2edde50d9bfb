"""A restart costs nothing, a power cut leaves the old state or the new one, and a file that is half whole gives its whole half."""

import itertools
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.backtest.loop import Scenario, simulate
from services.bus.state_file import write_atomic
from services.controller import store
from services.controller.model import Memory
from services.controller.shifting import ShiftMemory
from services.core.event_book import Book
from services.core.events import EventStatus
from services.core.goals import Goal, GoalKind
from services.core.loads import Shift
from services.simulator.plant import PlantParameters, PlantState
from tests.unit.controller.conftest import NOW, SETTINGS, STATION, an_event
from tests.unit.controller.test_store import FULL


def test_a_restart_in_mid_event_goes_on_with_the_same_integral_and_switch_count(tmp_path):
    """The same event twice on the same plant: once with one controller, once with a new one every seven minutes, from the disk."""
    parameters = PlantParameters.of(STATION)
    start = NOW + timedelta(minutes=10)
    scenario = Scenario(
        parameters=parameters,
        settings=SETTINGS,
        preferences=STATION.preferences.preferences(),
        load_w=lambda at: 120.0 + 80.0 * (at.minute % 20 < 8),
        pv_w=lambda _: 0.0,
        start=NOW,
        end=start + timedelta(hours=3, minutes=20),
        step_s=10.0,
        events=(an_event(start=start, hours=3.0, goal=Goal(GoalKind.PLEDGE, 60.0), status=EventStatus.SCHEDULED),),
    )
    path = tmp_path / "state.json"

    def through_the_disk(memory, book):
        store.save(path, store.State(book=book, memory=memory))
        restored = store.load(path)
        return restored.memory, restored.book

    whole, again = in_parts(scenario, lambda *kept: kept), in_parts(scenario, through_the_disk)
    assert whole[-1].decision.memory.switching.p1_today >= 4, "the event has switched"
    assert [step.decision for step in again] == [step.decision for step in whole]


def in_parts(scenario, between):
    """`scenario` in parts of seven minutes, with what the controller remembers going through `between` from one to the next."""
    plant, memory = PlantState.initial(scenario.parameters, soc_pct=90.0), Memory()
    book, now, steps = Book(events={event.id: event for event in scenario.events}), scenario.start, []
    while now < scenario.end:
        part = replace(scenario, start=now, end=min(now + timedelta(minutes=7), scenario.end), events=tuple(book.events.values()))
        steps += simulate(part, plant, memory)
        plant, (memory, book), now = steps[-1].plant, between(steps[-1].decision.memory, book), part.end
    return steps


def disk_states(before, operations):
    """Every content (name -> bytes) of the folder `before` that a power cut may leave in the middle of these operations.

    What was written and not yet fsynced may be there, half there or not; a rename not yet fsynced may have happened or not. The
    order in which the disk takes them is its own.
    """
    for done in range(len(operations) + 1):
        past = operations[:done]
        contents, synced, renamed, sealed = dict(before), dict.fromkeys(before, True), [], 0
        for kind, *what in past:
            if kind == "write":
                contents[what[0]], synced[what[0]] = what[1], False
            elif kind == "fsync":
                synced[what[0]] = True
            elif kind == "rename":
                renamed.append(tuple(what))
            elif kind == "seal":
                sealed = len(renamed)
        torn = {
            name: [data] if synced[name] else [data[:cut] for cut in sorted({0, 1, len(data) // 2, len(data)})]
            for name, data in contents.items()
        }
        for kept, choice in itertools.product(range(sealed, len(renamed) + 1), itertools.product(*torn.values())):
            folder = dict(zip(torn, choice, strict=True))
            for source, target in renamed[:kept]:
                if source in folder:
                    folder[target] = folder.pop(source)
            yield folder, done == len(operations)


def recorded(monkeypatch, path, work):
    """What `work` does to the folder of `path`, from the real system calls."""
    operations: list[tuple[Any, ...]] = []
    names: dict[int, str] = {}
    real_replace, real_fsync, real_os_open = Path.replace, os.fsync, os.open

    def fsync(number):
        real_fsync(number)
        if (name := names.get(number)) is None:  # another thread's, of a test before
            return
        if name == ".":
            operations.append(("seal",))
        else:
            operations[-1] = ("write", name, (path.parent / name).read_bytes())
            operations.append(("fsync", name))

    def os_open(target, *rest, **more):
        number = real_os_open(target, *rest, **more)
        if Path(target) == path.parent:
            names[number] = "."
        elif Path(target).parent == path.parent:
            names[number] = Path(target).name
            operations.append(("write", Path(target).name, b""))
        return number

    def replaced(self, target):
        operations.append(("rename", self.name, Path(target).name))
        return real_replace(self, target)

    with monkeypatch.context() as watched:
        watched.setattr(Path, "replace", replaced)
        watched.setattr(os, "fsync", fsync)
        watched.setattr(os, "open", os_open)
        work()
    return operations


def test_after_a_power_cut_at_any_moment_the_state_is_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    old, new = store.dumps(store.State()), store.dumps(FULL)
    path = tmp_path / "real" / "state.json"
    path.parent.mkdir()
    operations = recorded(monkeypatch, path, lambda: store.save(path, FULL))
    assert [kind for kind, *_ in operations] == ["write", "fsync", "rename", "seal"], "data first, then its name, then the folder"
    seen = set()
    for number, (folder, finished) in enumerate(disk_states({"state.json": old}, operations)):
        here = tmp_path / f"cut{number}"
        here.mkdir()
        for name, data in folder.items():
            (here / name).write_bytes(data)
        state = store.load(here / "state.json")
        assert state in (store.State(), FULL)
        assert state == FULL or not finished, "what was saved is there"
        seen.add(state == FULL)
        write_atomic(here / "state.json", new)
        assert sorted(file.name for file in here.iterdir()) == ["state.json"], "what a cut left behind does not pile up"
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("damage", "events", "override"),
    [
        (lambda content: content["memory"].update(mode=9), 1, True),
        (lambda content: content["book"]["events"]["e1"].update(start="soon"), 0, True),
        (lambda content: content["book"].update(archived=7), 1, True),
        (lambda content: content.update(override={"mode": 99}), 1, False),
        (lambda content: content.pop("version"), 1, True),
        (lambda content: content.update(book=[1, 2]), 0, True),
    ],
)
def test_what_is_whole_in_a_damaged_file_is_kept(tmp_path, damage, events, override):
    path = tmp_path / "state.json"
    content = json.loads(store.dumps(FULL))
    damage(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        state = store.load(path)
    except store.StateUnusable as unusable:
        state = unusable.rest
    assert len(state.book.events) == events
    assert (state.override is not None) == override


@pytest.mark.parametrize("cut", [0, 1, 40, -40, -1])
def test_a_torn_file_is_told_and_kept_whatever_is_left_of_it(tmp_path, cut):
    path = tmp_path / "state.json"
    data = store.dumps(FULL)[: cut if cut >= 0 else None][: cut if cut < 0 else None]
    path.write_bytes(data)
    with pytest.raises(store.StateUnusable, match=r"kept as state\.damaged"):
        store.load(path)
    assert path.with_suffix(".damaged").read_bytes() == data


def test_an_older_file_goes_through_every_migration_in_order(monkeypatch):
    monkeypatch.setattr(store, "VERSION", 3)
    steps = {
        1: lambda content: content | {"steps": [1]},
        2: lambda content: content | {"steps": [*content["steps"], 2], "book": content["book_of_old"]},
    }
    monkeypatch.setattr(store, "MIGRATIONS", steps)
    content = json.loads(store.dumps(FULL))
    content["book_of_old"] = content.pop("book")
    assert store.loads(json.dumps(content | {"version": 1}).encode()) == replace(FULL, version=3)
    with pytest.raises(ValueError, match="version 0 is too old"):
        store.loads(json.dumps(content | {"version": 0}).encode())


def test_a_field_that_is_new_since_gets_its_default():
    content = json.loads(store.dumps(FULL))
    for gone in ("shifting", "override"):
        del content[gone]
    assert store.loads(json.dumps(content).encode()) == replace(FULL, shifting=ShiftMemory(), override=None)


def test_shifts_survive_the_disk():
    shifts = {"washer": Shift("e1", "off", NOW, NOW, NOW, before_w=600.0, deferred_wh=12.5, note="x")}
    state = replace(FULL, shifting=ShiftMemory(NOW, "e1", shifts))
    assert store.loads(store.dumps(state)) == state
