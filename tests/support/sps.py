"""A whole `sps run` for tests and benchmarks: its station file on free ports, its process, and what one asks of it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
import yaml

from tests.support.ports import free_ports

SHIPPED = Path(__file__).parents[2] / "config" / "station.yaml"

T = TypeVar("T")
_PLACES = ("http://127.0.0.1:18081", "http://127.0.0.1:18082", "tcp:127.0.0.1:18085", "hci:tcp:127.0.0.1:18084/AC1802237000123456")


def placed_text() -> str:
    """The shipped station file with its simulated devices written out where `make run` puts them."""
    text = SHIPPED.read_text(encoding="utf-8")
    for place in _PLACES:
        text, count = re.subn(r"((?:address|bus): )simulated", rf"\g<1>{place}", text, count=1)
        assert count == 1, f"the shipped station has no simulated device for {place}"
    return f"{text}\nsimulation: {{port_address: 'http://127.0.0.1:18083'}}\n"


def real_text() -> str:
    """The shipped station file as one of a real house."""
    return placed_text().replace("clock: simulated", "clock: system").replace("bus: tcp:127.0.0.1:18085", "bus: 1")


def station_file(folder: Path, **changes: dict[str, Any]) -> Path:
    """The shipped station on free ports, written into `folder`, with `changes` merged into its sections."""
    station = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    broker, page, api, p1, p2, battery = free_ports(6)
    station["broker"]["port"] = broker
    station["web"]["port"] = page
    station["recorder"] = {"api": {"port": api}}
    station["positions"]["p1"]["address"] = f"http://127.0.0.1:{p1}"
    station["positions"]["p2"]["address"] = f"http://127.0.0.1:{p2}"
    station["battery"] |= {"driver": "simulated", "address": f"http://127.0.0.1:{battery}"}
    station["positions"]["p4"] = {"sensor": "station"}
    station.get("simulation", {}).pop("port_address", None)
    for section, values in changes.items():
        station.setdefault(section, {}).update(values)
    file = folder / "station.yaml"
    file.write_text(yaml.safe_dump(station, sort_keys=False), encoding="utf-8")
    return file


def wait_for(condition: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """What `condition` returns once it is true; fails naming `what` after `within_s`. A refused connection counts as not yet."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {within_s:g} s")


@dataclass(frozen=True, slots=True)
class Running:
    """A running `sps run`."""

    process: subprocess.Popen[bytes]
    file: Path
    var: Path
    log: Path
    station: dict[str, Any]

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.station['web']['port']}"

    @property
    def recorder(self) -> str:
        return f"http://127.0.0.1:{self.station['recorder']['api']['port']}"

    @property
    def mqtt_port(self) -> int:
        return int(self.station["broker"]["port"])

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def relay_is_on(self, position: str) -> bool:
        """What the simulated relay itself says."""
        answer = requests.get(f"{self.station['positions'][position]['address']}/rpc/Switch.GetStatus?id=0", timeout=5)
        return bool(answer.json()["output"])

    def sps(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another `sps` command on the same station."""
        command = [sys.executable, "-m", "services.cli", *arguments, "--config", str(self.file)]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    def stop(self, within_s: float = 20) -> int:
        """Ctrl-C, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(within_s)


def start(file: Path, var: Path, *options: str, wait_s: float = 100) -> Running:
    """Start `sps run` and wait until it says that it is running."""
    log = var.parent / f"{var.name}.log"
    command = [sys.executable, "-m", "services.cli", "run", "--config", str(file), "--var", str(var), "--no-open", *options]
    environment = {name: value for name, value in os.environ.items() if name != "SPEED"}
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
    running = Running(process, file, var, log, yaml.safe_load(file.read_text(encoding="utf-8")))
    already = running.output().count("is running")

    def ready() -> bool:
        assert process.poll() is None, f"sps run ended with {process.returncode}:\n{running.output()}"
        return running.output().count("is running") > already

    try:
        wait_for(ready, within_s=wait_s, what="sps run says that it is running")
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return running


@contextmanager
def sps_run(file: Path, var: Path, *options: str, wait_s: float = 100) -> Iterator[Running]:
    """A running `sps run` that is stopped at the end."""
    running = start(file, var, *options, wait_s=wait_s)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            try:
                running.stop()
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
