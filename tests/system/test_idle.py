"""A service in a container that its station has no use for."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.bus.heartbeat import verdict
from services.bus.idle import unused
from services.core.config.load import parse_station
from tests.support.sps import SHIPPED, real_text, station_file
from tests.support.waiting import wait_until

SIMULATED = parse_station(SHIPPED.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("service", "station", "why"),
    [
        ("simulator", parse_station(real_text()), "'clock: system'"),
        ("simulator", SIMULATED, None),
        ("home_assistant", SIMULATED, "home_assistant: {enabled: true}"),
        ("ina260_reader", SIMULATED, None),
        ("ina260_reader", parse_station(real_text().replace("sensor: ina260\n    bus: 1", "sensor: station")), "sensor: ina260"),
        ("bluetti_bridge", SIMULATED, None),
        ("controller", SIMULATED, None),
    ],
)
def test_what_a_station_has_no_use_for_is_said_with_its_reason(service, station, why) -> None:
    said = unused(service, station)
    assert said is None if why is None else said is not None and why in said


def test_it_rests_as_next_to_nothing_and_is_no_failure(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SPS_IDLE", "1")
    command = [sys.executable, "-m", "services.home_assistant", "--config", str(station_file(tmp_path)), "--var", str(tmp_path / "var")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as service:
        try:
            wait_until(lambda: _name(service.pid) == "sleep", 20, what="it rests")
            assert verdict("home_assistant", tmp_path / "var") == (True, "home_assistant rests: the station has no use for it")
        finally:
            service.terminate()
        assert service.stderr is not None
        assert b"nothing to do: the station file does not have 'home_assistant: {enabled: true}'" in service.stderr.read()


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
