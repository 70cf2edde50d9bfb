"""`sps ats test` on a running simulated station whose priority nobody knows yet."""

import signal
import subprocess
import sys

import pytest

from services.core.config.load import parse_station
from tests.support.sps import sps_run, station_file, wait_for

MEASURABLE = {"load_scale": 0.6, "pv_peak_w": 0, "seed_days": 0}
"""Whatever the household does at this hour, it draws enough to be seen, and less than the inverter below can carry."""


def test_unknown_priority_is_measured_and_written_and_then_events_are_possible(tmp_path):
    file = station_file(
        tmp_path,
        simulation={"speed": 1, "ats_delay_s": 2.0, **MEASURABLE},
        transfer_switch={"priority": "unknown"},
        battery={"inverter_w": 15000},
    )
    file.write_text(file.read_text() + "# the last line is mine\n")
    with sps_run(file, tmp_path / "var") as running:
        wait_for(lambda: running.relay_is_on("p1"), within_s=30, what="the load is on the grid")
        refused = running.sps("ats", "test", "--cycles", "1")
        assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
        tested = running.sps("ats", "test", "--cycles", "1", "--yes")
        assert tested.returncode == 0, tested.stderr + tested.stdout
        assert running.relay_is_on("p1")
        clicked = running.sps("relay", "identify", "p2", "--clicks", "1", "--var", str(running.var))
        assert clicked.returncode == 0, clicked.stderr
        wait_for(lambda: not running.relay_is_on("p2"), within_s=10, what="P2 is off again")
        unproved = running.sps("relay", "verify-deadman", "p1", "--yes", "--var", str(running.var))
        assert (unproved.returncode, "stop `sps run` first" in unproved.stderr) == (1, True), unproved.stderr
        assert "Traceback" not in running.output(), running.output()
    text = file.read_text()
    assert text.endswith("# the last line is mine\n")
    switch = parse_station(text).transfer_switch
    assert (switch.priority, switch.measured_at is not None) == ("grid", True)
    assert switch.delay_s is not None
    assert abs(switch.delay_s - 2.0) <= 1.0, "to within the polling period"
    assert switch.gap_s is not None
    assert switch.gap_s >= 0.02


@pytest.mark.parametrize(("number", "closes_within_s"), [(signal.SIGINT, 6.0), (signal.SIGKILL, 12.0)])
def test_whoever_ends_the_test_in_the_middle_p1_closes(tmp_path, number, closes_within_s):
    file = station_file(tmp_path, simulation={"speed": 1, **MEASURABLE}, battery={"inverter_w": 15000})
    with sps_run(file, tmp_path / "var") as running:
        wait_for(lambda: running.relay_is_on("p1"), within_s=30, what="the load is on the grid")
        command = [sys.executable, "-m", "services.cli", "ats", "test", "--yes", "--config", str(file)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as test:
            try:
                wait_for(lambda: not running.relay_is_on("p1"), within_s=40, what="P1 opens")
            finally:
                test.send_signal(number)
            wait_for(lambda: running.relay_is_on("p1"), within_s=closes_within_s, what="P1 closes")
            assert test.wait(10) != 0
        assert parse_station(file.read_text()).transfer_switch.measured_at is None


def test_it_is_refused_where_it_would_prove_nothing(tmp_path):
    file = station_file(tmp_path, simulation={"speed": 60, "seed_days": 0})
    with sps_run(file, tmp_path / "var") as running:
        fast = running.sps("ats", "test", "--yes")
        assert (fast.returncode, "--speed 1" in fast.stderr) == (1, True), fast.stderr
        before = file.read_text()
    gone = running.sps("ats", "test", "--yes")
    assert (gone.returncode, "start it with `sps run`" in gone.stderr) == (1, True), gone.stderr
    assert file.read_text() == before
