"""`sps run` as a person meets it: the event by hand, the report, Ctrl-C, `kill -9`, a second one by mistake."""

import json
import os
import signal
import subprocess
from typing import Any

import psutil
import pytest
import requests

from tests.support.needs import need_mosquitto_pub
from tests.support.sps import Running, sps_run, station_file, wait_for

SEED_DAYS = 3


@pytest.fixture
def file(tmp_path):
    return station_file(tmp_path, simulation={"speed": 60, "seed_days": 0})


def events(running: Running) -> dict[str, str]:
    """The status of each event, by id, as the recorder knows it."""
    return {event["id"]: event["status"] for event in requests.get(f"{running.recorder}/api/events", timeout=5).json()}


def simulators(running: Running) -> list[psutil.Process]:
    """The living simulators of this station."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        if "services.simulator" in command and str(running.file) in command and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_event_by_hand_runs_from_mosquitto_pub_to_the_report(tmp_path):
    need_mosquitto_pub()
    file = station_file(tmp_path, simulation={"speed": 60, "seed_days": SEED_DAYS})
    with sps_run(file, tmp_path / "var", wait_s=90) as running:
        assert requests.get(running.page, timeout=5).status_code == 200
        wait_for(lambda: running.relay_is_on("p1"), within_s=30, what="the load is on the grid")
        command = json.dumps({"id": "by-hand", "start": "now", "duration": "PT20M"})
        topic = ["-h", "127.0.0.1", "-p", str(running.mqtt_port), "-t", "sps/demo/event/command", "-m", command]
        subprocess.run(["mosquitto_pub", *topic], check=True, timeout=10)
        wait_for(lambda: not running.relay_is_on("p1"), within_s=20, what="P1 opens")
        wait_for(lambda: events(running).get("by-hand") == "completed", within_s=60, what="the event completes")
        wait_for(lambda: running.relay_is_on("p1"), within_s=60, what="the load returns to the grid")
        report = wait_for(lambda: final_report(running), within_s=30, what="the final report")
        assert report["performance"]["avoided_wh"] > 0
        printed = running.sps("report", "by-hand")
        assert printed.returncode == 0, printed.stderr
        assert running.stop() == 0
        assert simulators(running) == []
    assert "Traceback" not in running.output(), running.output()


def final_report(running: Running) -> dict[str, Any] | None:
    answer = requests.get(f"{running.recorder}/api/events/by-hand/report", timeout=5)
    return answer.json() if answer.ok and answer.json()["final"] else None


def test_kill_in_mid_event_and_start_again_goes_on_with_it(tmp_path, file):
    with sps_run(file, tmp_path / "var") as first:
        accepted = first.sps("event", "schedule", "now", "--duration", "PT1H", "--id", "long")
        assert accepted.returncode == 0, accepted.stderr
        wait_for(lambda: not first.relay_is_on("p1"), within_s=20, what="P1 opens")
        first.process.kill()
        first.process.wait()
        survivors = simulators(first)
        assert len(survivors) == 1, "the house lives on without us"
    with sps_run(file, tmp_path / "var") as second:
        assert [p.pid for p in simulators(second)] == [p.pid for p in survivors], "it was adopted"
        wait_for(lambda: events(second).get("long") == "ongoing", within_s=20, what="the event goes on")
        wait_for(lambda: not second.relay_is_on("p1"), within_s=20, what="the battery carries the load again")
        assert second.stop() == 0
    assert simulators(second) == []


def test_a_second_run_on_the_same_state_is_refused(tmp_path, file):
    with sps_run(file, tmp_path / "var") as running:
        again = running.sps("run", "--var", str(running.var))
        assert (again.returncode, "another sps is running" in again.stderr) == (1, True)
        assert len(again.stderr.splitlines()) == 1
        assert running.process.poll() is None


def test_sigterm_stops_as_cleanly_as_ctrl_c(tmp_path, file):
    with sps_run(file, tmp_path / "var") as running:
        os.kill(running.process.pid, signal.SIGTERM)
        assert running.process.wait(12) == 0
        assert simulators(running) == []


def test_event_commands_answer_with_what_the_controller_made_of_them(tmp_path, file):
    with sps_run(file, tmp_path / "var") as running:
        accepted = running.sps("event", "schedule", "now", "--duration", "PT2H", "--id", "first", "--pledge", "50")
        assert (accepted.returncode, accepted.stdout[:9]) == (0, "accepted:"), accepted.stderr
        overlapping = running.sps("event", "schedule", "now", "--duration", "PT1H", "--id", "second")
        assert (overlapping.returncode, "overlaps event first" in overlapping.stderr) == (1, True), overlapping.stderr
        opted_out = running.sps("event", "opt-out", "first")
        assert (opted_out.returncode, "opted_out" in opted_out.stdout) == (0, True), opted_out.stderr
        unknown = running.sps("event", "cancel", "never-heard-of")
        assert unknown.returncode == 1
        assert "never-heard-of" in unknown.stderr
        listed = wait_for(lambda: json.loads(running.sps("event", "list", "--json").stdout), within_s=10, what="the list")
        assert {"first"} <= {event["id"] for event in listed}
