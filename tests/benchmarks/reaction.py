"""From `event/command` published to the simulated Shelly's output changed, beside the bare limit, interleaved."""

import json
import platform
import queue
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import requests
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from services.bus.broker.choose import find_mosquitto
from tests.benchmarks.bare import TOPIC as BARE_TOPIC
from tests.benchmarks.figure import Figure
from tests.support.ports import free_port
from tests.support.sps import sps_run, station_file, wait_for

PAIRS = 200
WARM_UP = 10
WITHIN_S = 20.0
PAUSE_S = (0.05, 0.35)
"""Between two measurements, drawn anew each time, so that they fall anywhere between two polls."""


class Witness:
    """A process that prints when outputs change."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._seen: queue.Queue[tuple[str, bool, float]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def changed(self, relay: str, *, on: bool) -> float:
        """When `relay` next changed to `on`. Changes of other relays are passed over."""
        deadline = time.monotonic() + WITHIN_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                seen, state, at = self._seen.get(timeout=left)
            except queue.Empty:
                break
            if (seen, state) == (relay, on):
                return at
        raise AssertionError(f"{relay} did not turn {'on' if on else 'off'} within {WITHIN_S:g} s")

    def forget(self) -> None:
        """Let go of changes that nobody asked about."""
        while not self._seen.empty():
            self._seen.get_nowait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            words = line.split()
            if len(words) == 3:
                self._seen.put((words[0], words[1] == "1", float(words[2])))


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python module as a process that ends with the context."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def measure() -> list[Figure]:
    """The p95 of both; their ratio is judged."""
    assert find_mosquitto() is not None, "the reaction is measured over a real Mosquitto: apt-get install mosquitto"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        control = {"ease_back": "PT0S"}
        limits = {"dwell_s": 0, "switchings_per_day": 1000}
        # No daily cycle may interfere: the battery is full, and its discharge a long way off.
        file = station_file(folder, limits=limits, control=control, simulation={"speed": 1, "seed_days": 0, "load_scale": 0.1})
        station = yaml.safe_load(file.read_text(encoding="utf-8"))
        simulator = ("--config", str(file), "--var", str(folder / "var"), "--speed", "1.0", "--lease", "120")
        house = Witness(stack.enter_context(process("tests.benchmarks.witness", "station", *simulator)))
        battery = station["battery"]["address"]
        wait_for(lambda: requests.get(f"{battery}/identity", timeout=2).ok, within_s=30, what="the simulator answers")
        requests.post(f"{battery}/soc", json={"pct": 95}, timeout=5)
        running = stack.enter_context(sps_run(file, folder / "var"))
        relay_port = free_port()
        lone = Witness(stack.enter_context(process("tests.benchmarks.witness", "relay", str(relay_port))))
        bare = stack.enter_context(process("tests.benchmarks.bare", str(running.mqtt_port), str(relay_port)))
        assert bare.stdout is not None
        bare.stdout.readline()
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", running.mqtt_port)
        client.loop_start()
        stack.callback(client.loop_stop)
        wait_for(lambda: running.relay_is_on("p1"), within_s=60, what="the load is on the grid")
        time.sleep(5)
        pairs = [pair(client, house, lone, number) for number in range(WARM_UP + PAIRS)][WARM_UP:]
    ours, limit = ([1000 * sample for sample in samples] for samples in zip(*pairs, strict=True))
    return [figure(ours, limit)]


def pair(client: mqtt.Client, house: Witness, lone: Witness, number: int) -> tuple[float, float]:
    """One reaction of the station and one of the bare limit, in seconds."""
    event = f"reaction-{number}"
    house.forget()
    sent = time.monotonic()
    tell(client, {"id": event, "start": "now", "duration": "PT1H", "goal": {"kind": "minimize"}})
    ours = house.changed("p1", on=False) - sent
    tell(client, {"action": "cancel", "id": event})
    house.changed("p1", on=True)
    pause()
    sent = time.monotonic()
    client.publish(BARE_TOPIC, b"off", qos=1)
    limit = lone.changed("bare", on=False) - sent
    client.publish(BARE_TOPIC, b"on", qos=1)
    lone.changed("bare", on=True)
    pause()
    return ours, limit


def tell(client: mqtt.Client, command: dict[str, object]) -> None:
    """Publish an event command to the demo station."""
    client.publish("sps/demo/event/command", json.dumps(command), qos=1)


def pause() -> None:
    """Long enough for all to settle, never twice the same."""
    time.sleep(random.uniform(*PAUSE_S))


def figure(ours: list[float], limit: list[float]) -> Figure:
    """The figure from both samples, in milliseconds."""
    (our_median, our_p95), (limit_median, limit_p95) = ((statistics.median(s), statistics.quantiles(s, n=20)[-1]) for s in (ours, limit))
    conditions = (
        f"p95 of {len(ours)} pairs interleaved: {our_p95:.1f} ms, median {our_median:.1f} ms, worst {max(ours):.1f} ms; reference, a paho "
        f"subscriber calling requests on the same emulated relay: p95 {limit_p95:.1f} ms, median {limit_median:.1f} ms, worst "
        f"{max(limit):.1f} ms; Mosquitto with persistence, speed 1, dwell 0, {platform.machine()}, Python {platform.python_version()}"
    )
    return Figure("reaction", our_p95, "ms", limit_p95, 3, conditions, goal_on="ratio")
