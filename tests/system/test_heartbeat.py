"""The heartbeat of real services on a real broker."""

import subprocess
import sys
from functools import partial
from pathlib import Path

from services.bus.heartbeat import verdict
from tests.support.sps import sps_run, station_file
from tests.support.waiting import wait_until

CHECK = [sys.executable, "-m", "services.bus.heartbeat"]


def test_a_service_alone_is_alive_while_the_broker_hears_it(tmp_path, broker) -> None:
    file = station_file(tmp_path, broker={"port": broker.port}, home_assistant={"enabled": True})
    var = tmp_path / "var"
    command = [sys.executable, "-m", "services.home_assistant", "--config", str(file), "--var", str(var)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as service:
        try:
            wait_until(lambda: verdict("home_assistant", var)[0], 20, what="the first beat")
            said = subprocess.run([*CHECK, "home_assistant", "--var", str(var)], capture_output=True, text=True, check=False)
            assert (said.returncode, "its loop ran and the broker heard it" in said.stdout) == (0, True)
            broker.stop()
            wait_until(lambda: not verdict("home_assistant", var, 6)[0], 20, what="no beat without a broker")
            broker.start()
            wait_until(lambda: verdict("home_assistant", var, 6)[0], 20, what="a beat with the broker back")
        finally:
            service.terminate()
    said = subprocess.run([*CHECK, "home_assistant", "--var", str(var)], capture_output=True, text=True, check=False)
    assert (said.returncode, "has no heartbeat" in said.stdout) == (1, True)


def test_every_service_of_one_process_beats_for_itself(tmp_path) -> None:
    var: Path = tmp_path / "var"
    with sps_run(station_file(tmp_path), var, "--speed", "1"):
        for service in ("simulator", "bluetti_bridge", "relay_bridge", "controller", "recorder", "gateway"):
            wait_until(partial(_alive, service, var), 20, what=f"a beat of {service}")


def _alive(service: str, var: Path) -> bool:
    return verdict(service, var)[0]
