"""The pair end to end: a whole simulated station and the reference aggregator, each with its own broker, over the real link."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from services.aggregator.calling import Typed
from services.aggregator.store import fleet
from services.cli.aggregator_enrolment import station_lines, write_secrets
from tests.support.aggregator import Aggregator, aggregator
from tests.support.sps import sps_run, station_file, wait_for


def joined(folder: Path, one: Aggregator, name: str, **preferences: Any) -> Path:
    """A station file whose section `aggregator` is what enrolment printed."""
    enrolled = one.desk.enrol([name])[0]
    write_secrets(folder / "secrets", enrolled, one.context.station_secrets())
    printed = yaml.safe_load(station_lines(one.context, enrolled, written=True))
    file = station_file(folder, preferences=preferences, control={"settlement_interval": "PT1M"})
    body = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump(body | printed, sort_keys=False), encoding="utf-8")
    return file


@pytest.mark.timeout(280)
def test_an_event_called_at_the_aggregator_is_played_at_the_station_and_settled_on_the_fleets_page(tmp_path: Path) -> None:
    house, aside = tmp_path / "house", tmp_path / "aggregator"
    house.mkdir()
    aside.mkdir()
    with aggregator(aside) as one:
        file = joined(house, one, "house-1", sharing="event")
        with sps_run(file, house / "var", "--speed", "1") as station:

            def row(event_id: str) -> fleet.EventRow:
                return one.read(lambda connection: fleet.events(connection, event_id=event_id))[0]

            def link() -> bool:
                state = requests.get(f"{station.page}/api/sharing", timeout=5).json()["link"]
                return bool(state["mqtt"]["state"] == "connected")

            wait_for(link, within_s=60, what="the link")
            command = [sys.executable, "-m", "services.cli", "aggregator", "schedule", "now", "--duration", "PT1M", "--id", "evening"]
            options = ["--minimize", "--config", str(one.path), "--var", str(one.var)]
            subprocess.run([*command, *options], check=True, timeout=60)
            wait_for(lambda: row("evening").ongoing == 1, within_s=40, what="the answer that it is delivering")
            known = requests.get(f"{station.page}/api/events", timeout=5).json()
            assert [event["status"] for event in known if event["id"] == "evening"] == ["ongoing"]
            shown = requests.get(one.page, timeout=5).text
            assert "1 <small>stations</small>" in shown
            wait_for(lambda: not station.relay_is_on("p1"), within_s=30, what="the battery carries the load")
            # Another is called, and cancelled before it begins.
            one.desk.call(Typed("23:59", "PT1H"), "never")
            wait_for(lambda: row("never").takes_part == 1, within_s=20, what="the acceptance")
            one.desk.cancel("never")
            wait_for(lambda: row("never").answered == 1 and row("never").takes_part == 0, within_s=20, what="the cancellation")
            wait_for(lambda: row("evening").settled == 1, within_s=150, what="the final record")
            settled = one.read(lambda connection: list(fleet.settlements(connection, "evening")))
            assert [(found.station, found.body["final"]) for found in settled] == [("house-1", True)]
            assert settled[0].body["avoided_wh"] > 0
            csv = requests.get(f"{one.page}/settlements.csv", timeout=5).text
            assert "evening,house-1," in csv
            # Nothing above the level came.
            kinds = one.read(lambda connection: {found.body.keys() >= {"id", "final"} for found in fleet.settlements(connection)})
            assert kinds == {True}
