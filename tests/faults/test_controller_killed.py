"""A real controller killed at every step of writing its state: what was acknowledged is there, and what was not can be sent again."""

import contextlib
import json
import signal
import subprocess
import sys

import pytest

from services.controller import store
from tests.support.dying import STEPS_A_SAVE
from tests.support.played_house import PlayedHouse, station_at
from tests.support.waiting import wait_for

SAVES = 2
"""The first decision, and the event accepted: all steps of both, and the first one of the next."""
AT_ONCE = 7
"""So many stations at a time: the machine has few cores."""


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
@pytest.mark.parametrize("first", range(1, SAVES * STEPS_A_SAVE + 2, AT_ONCE))
async def test_killed_at_every_persistence_point_nothing_acknowledged_is_lost(broker, plain, tmp_path, first):
    points = [n for n in range(first, first + AT_ONCE) if n <= SAVES * STEPS_A_SAVE + 1]
    arguments, houses, folders = [], {}, {}
    for n in points:
        name = f"s{n}"
        folders[n] = tmp_path / name
        folders[n].mkdir()
        arguments += [str(station_at(tmp_path, broker.port, name)), str(folders[n]), str(n)]
        houses[n] = PlayedHouse(plain, name)
    stations = subprocess.Popen([sys.executable, "-m", "tests.support.dying", *arguments], stdin=subprocess.PIPE)  # noqa: ASYNC220 - it returns at once
    try:
        await _all_end_well(houses, folders)
    finally:
        stations.communicate(timeout=20)


async def _all_end_well(houses, folders):
    """Each sender repeats its command until the event appears, as the contract has it; then each station must hold its event."""
    acknowledged_before_death = {}
    revisions = dict.fromkeys(houses, 0)

    def tick():
        for n, house in houses.items():
            house.step()
            died = (folders[n] / "died").exists()
            appeared = any(h.payload for h in plain_events(house))
            if died and n not in acknowledged_before_death:
                acknowledged_before_death[n] = appeared
            if not appeared and house.said() and revisions[n] < 200:
                # In other words each time: identical bytes within a minute are one command.
                revisions[n] += 1
                house.schedule("e1", duration="PT2H", priority=revisions[n])

    def plain_events(house):
        return house.plain.on(f"{house.root}/event/e1")

    async def until(condition, what, within_s):
        deadline = within_s / 0.1
        while not condition():
            tick()
            deadline -= 1
            assert deadline > 0, what
            with contextlib.suppress(AssertionError):
                await wait_for(condition, 0.1)

    await until(lambda: all((folder / "died").exists() for folder in folders.values()), f"all to die, of {sorted(folders)}", 40)
    commanded = {n: len(house.commanded()) for n, house in houses.items()}
    await until(lambda: all(len(house.commanded()) > commanded[n] and plain_events(house) for n, house in houses.items()), "successors", 40)
    await until(
        lambda: all(_saved(folder) is not None and "e1" in _saved(folder).book.events for folder in folders.values()), "the books", 20
    )
    for n, folder in folders.items():
        assert int((folder / "died").read_text()) == signal.SIGKILL, f"step {n} was never reached"
        assert not (folder / "controller" / "state.damaged").exists(), f"step {n}: a torn state file"
        events = [h.json for h in plain_events(houses[n]) if h.payload]
        starts = {event["start"] for event in events}
        assert acknowledged_before_death[n] is False or len(starts) == 1, f"step {n}: what had been acknowledged was lost and sent again"
        assert events[-1]["status"] == "ongoing"
        errors = [json.loads(h.payload) for h in houses[n].plain.on(f"{houses[n].root}/service/controller/error")]
        assert not [error for error in errors if "cannot be used" in error["message"]], f"step {n}"


def _saved(folder):
    path = folder / "controller" / "state.json"
    return store.load(path) if path.exists() else store.State()
