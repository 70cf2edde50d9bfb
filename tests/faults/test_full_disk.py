"""A whole station on a disk that fills up in mid-event: the load is fed, the event is handled, and all goes on once there is room."""

import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from tests.support.sps import sps_run, station_file, wait_for

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of 8 MB."""
    if os.geteuid() != 0:
        why = "needs root, to mount a small file system"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path) -> Path:
    """Leave not a byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 8, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break
    return ballast


def statuses(running) -> dict[str, str]:
    services = requests.get(f"{running.page}/api/state", timeout=5).json()["services"]
    return {name: service["detail"] for name, service in services.items()}


def unserved_s(running) -> float:
    return float(requests.get(f"{running.station['battery']['address']}/house", timeout=5).json()["unserved_s"])


def test_a_full_disk_stops_recording_and_nothing_else(disk, tmp_path) -> None:
    file = station_file(tmp_path, simulation={"speed": 1, "seed_days": 0}, limits={"dwell_s": 0})
    with sps_run(file, disk / "var") as running:
        assert running.sps("event", "schedule", "now", "--duration", "PT1H", "--id", "e1").returncode == 0
        wait_for(lambda: not running.relay_is_on("p1"), within_s=20, what="P1 opens")
        ballast = fill(disk)
        wait_for(lambda: "full" in statuses(running).get("recorder", ""), within_s=60, what="the recorder says that the disk is full")
        held_until = time.monotonic() + 15  # longer than a renewal of the relay: the event is held all the same
        wait_for(lambda: time.monotonic() > held_until and not running.relay_is_on("p1"), within_s=30, what="the event goes on")
        tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        refused = running.sps("event", "schedule", tomorrow, "--duration", "PT1H", "--id", "e2")
        assert refused.returncode != 0  # what is not on disk is not accepted
        ballast.unlink()
        wait_for(lambda: not statuses(running).get("recorder", "full"), within_s=60, what="recording goes on")
        assert running.sps("event", "cancel", "e1").returncode == 0
        wait_for(lambda: running.relay_is_on("p1"), within_s=30, what="P1 closes")
        assert unserved_s(running) < 1
