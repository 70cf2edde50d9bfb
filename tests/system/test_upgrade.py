"""State that earlier versions left: the present one goes on with it, and loses nothing."""

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
import requests

from services.bus.state_format import FILE, current
from services.controller.store import load
from tests.support.sps import sps_run, station_file, wait_for

FIRST = Path(__file__).parents[1] / "fixtures" / "state" / "first.tar.gz"

pytestmark = pytest.mark.timeout(120)


def reading_times(journal: Path) -> set[int]:
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
        return {ts for (ts,) in db.execute("SELECT ts FROM reading")}


def test_the_state_of_the_first_version_is_taken_over_whole(tmp_path) -> None:
    with tarfile.open(FIRST) as tar:
        tar.extractall(tmp_path, filter="data")
    var = tmp_path / "var"
    journal = var / "recorder" / "journal.db"
    before = reading_times(journal)
    assert len(before) > 5
    assert set(load(var / "controller" / "state.json").book.events) == {"running", "later"}
    file = station_file(tmp_path, simulation={"speed": 60, "seed_days": 0}, home_assistant={"enabled": True})
    with sps_run(file, var) as running:
        chosen = wait_for(lambda: requests.get(f"{running.page}/api/preferences", timeout=5).json(), within_s=20, what="the page answers")
        assert (chosen["backup_reserve_pct"], chosen["quiet_hours"]) == (35.0, "22:00-06:00")
        wait_for(lambda: reading_times(journal) - before, within_s=30, what="recording goes on")
        events = requests.get(f"{running.recorder}/api/events", timeout=5).json()
        assert {"running", "later"} <= {event["id"] for event in events}
    assert before <= reading_times(journal)
    for service in ("gateway", "controller", "recorder", "relay_bridge", "simulator", "home_assistant"):
        assert json.loads((var / service / FILE).read_text())["format"] == current(service), service
