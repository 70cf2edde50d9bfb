"""From an event at the aggregator's broker to `event/<id>` on the station's own, beside the bare hop through the same broker."""

import json
import platform
import random
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import requests
from paho.mqtt.enums import CallbackAPIVersion

from services.bus.state_file import write_atomic
from tests.benchmarks.figure import Figure
from tests.support.remote_broker import PASSWORD, USER, RemoteAggregator, RemoteBroker
from tests.support.sps import sps_run, station_file, wait_for

PAIRS = 200
WARM_UP = 5
WITHIN_S = 20.0
PAUSE_S = (0.5, 0.7)
"""A station takes two events a second in the long run."""
BARE = "bench/bare"
FLOOR = "bench/floor"
"""The same way without our services: from here to the station's broker …"""
ACCEPTED, TOLD = "bench/accepted", "bench/told"
"""… where somebody writes a file that survives a power cut, and only then tells it."""
STATE = b"x" * 4096


class Clocked:
    """When something was first heard on a topic, by this process's clock."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._news = threading.Condition()

    def hear(self, name: str) -> None:
        """It was heard now."""
        with self._news:
            self._at.setdefault(name, time.monotonic())
            self._news.notify_all()

    def at(self, name: str) -> float:
        """When it was heard; waits for it."""
        with self._news:
            assert self._news.wait_for(lambda: name in self._at, WITHIN_S), f"{name} was not heard within {WITHIN_S:g} s"
            return self._at[name]


def measure(pairs: int = PAIRS) -> list[Figure]:
    """The p99 of both; their ratio is judged."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        remote = RemoteBroker(folder / "remote")
        remote.start()
        stack.callback(remote.close)
        aggregator = stack.enter_context(RemoteAggregator(remote))
        station = folder / "station"
        (station / "secrets").mkdir(parents=True)
        for name in ("ca.crt", "client.crt", "client.key"):
            (station / "secrets" / name).write_bytes((folder / "remote" / name).read_bytes())
        (station / "secrets" / "password").write_text(PASSWORD)
        login = {"ca_file": "ca.crt", "client_cert": "client.crt", "client_key": "client.key", "user": USER, "secret": "password"}
        link = {"network": "Borough", "mqtt": {"host": "127.0.0.1", "port": remote.port, **login}}
        file = station_file(station, aggregator=link, simulation={"speed": 1, "seed_days": 0})
        running = stack.enter_context(sps_run(file, station / "var"))
        clocked = Clocked()
        client = mqtt.Client(CallbackAPIVersion.VERSION2)

        def remote_heard(topic: str, payload: bytes) -> None:
            if topic == BARE:
                clocked.hear(f"{topic} {payload.decode()}")
            elif topic == FLOOR:
                client.publish(ACCEPTED, payload, 1)

        def local_heard(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
            if message.topic == ACCEPTED:
                write_atomic(folder / "floor.json", STATE)
                client.publish(TOLD, message.payload, 1)
            else:
                clocked.hear(f"{TOLD} {message.payload.decode()}" if message.topic == TOLD else message.topic)

        aggregator.watch(remote_heard)
        client.on_message = local_heard
        client.connect("127.0.0.1", running.mqtt_port)
        client.subscribe([("sps/demo/event/+", 1), (ACCEPTED, 1), (TOLD, 1)])
        client.loop_start()
        stack.callback(client.loop_stop)
        wait_for(lambda: connected(running.page), within_s=60, what="the link is up")
        all_three = [one_of_each(aggregator, clocked, number) for number in range(WARM_UP + pairs)][WARM_UP:]
    ours, bare, floor = ([1000 * sample for sample in samples] for samples in zip(*all_three, strict=True))
    return [figure(ours, bare, floor)]


def connected(page: str) -> bool:
    """Whether the station says that it is joined to the aggregator."""
    return bool(requests.get(f"{page}/api/sharing", timeout=5).json()["link"]["mqtt"]["state"] == "connected")


def one_of_each(aggregator: RemoteAggregator, clocked: Clocked, number: int) -> tuple[float, float, float]:
    """One event, one bare message, and the event's way without our services, in seconds."""
    now = datetime.now(UTC)
    event = {
        "v": 1,
        "id": f"hop-{number}",
        "start": (now + timedelta(days=1, minutes=30 * number)).isoformat(),
        "duration": "PT15M",
        "ts": now.isoformat(),
    }
    began = time.monotonic()
    aggregator.send_soon(json.dumps(event))
    ours = clocked.at(f"sps/demo/event/hop-{number}") - began
    time.sleep(random.uniform(*PAUSE_S) / 2)
    began = time.monotonic()
    aggregator.send_soon(str(number), BARE)
    bare = clocked.at(f"{BARE} {number}") - began
    time.sleep(random.uniform(*PAUSE_S) / 4)
    began = time.monotonic()
    aggregator.send_soon(str(number), FLOOR)
    floor = clocked.at(f"{TOLD} {number}") - began
    time.sleep(random.uniform(*PAUSE_S) / 4)
    return ours, bare, floor


def figure(ours: list[float], bare: list[float], floor: list[float]) -> Figure:
    """The figure from the samples, in milliseconds."""
    (our_median, our_p99), (bare_median, bare_p99), (floor_median, floor_p99) = (
        (statistics.median(s), statistics.quantiles(s, n=100)[-1]) for s in (ours, bare, floor)
    )
    conditions = (
        f"p99 of {len(ours)} pairs interleaved: {our_p99:.1f} ms, median {our_median:.1f} ms, worst {max(ours):.1f} ms, "
        "from the aggregator's publish to `event/<id>` on the station's broker: two Mosquittos (the aggregator's with TLS, "
        "client certificate and password), the gateway keeping the event on disk, the controller accepting it on disk, all of `sps run`; "
        f"reference, one message through the aggregator's broker and back: p99 {bare_p99:.1f} ms, median {bare_median:.1f} ms, "
        f"worst {max(bare):.1f} ms; the event's way without our services, three hops through both brokers and one file that "
        f"survives a power cut: p99 {floor_p99:.1f} ms, median {floor_median:.1f} ms; "
        f"{platform.machine()}, Python {platform.python_version()}"
    )
    return Figure("event_hop", our_p99, "ms", bare_p99, 3, conditions, goal_on="ratio")
