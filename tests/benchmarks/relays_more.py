"""From `relay/p1/command` to the confirmed `relay/p1/state`, for Kasa and for Shelly over Bluetooth, beside bare calls, interleaved."""

import json
import platform
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from services.bus.loop_thread import LoopThread
from services.relay_bridge.drivers.shelly_ble_link import BleSession
from tests.benchmarks.figure import Figure
from tests.benchmarks.reaction import process
from tests.support.brokers import TestBroker

PAIRS = 200
WARM_UP = 10
WITHIN_S = 20.0
PAUSE_S = (0.02, 0.15)
"""Between two measurements, drawn anew each time, so that they fall anywhere between two polls."""
_CALL_S = 10.0

Call = Callable[[bool], None]


def measure() -> list[Figure]:
    """The p99 of both drivers."""
    return [one("kasa", bare_kasa), one("shelly_ble", bare_shelly_ble)]


def one(kind: str, bare: Callable[[ExitStack, str], tuple[Call, Callable[[], None]]]) -> Figure:
    """The figure of one driver."""
    with ExitStack() as stack:
        devices = stack.enter_context(process("tests.benchmarks.relay_device", kind))
        assert devices.stdout is not None
        p1, p2, lone = (devices.stdout.readline().strip() for _ in range(3))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = TestBroker("mosquitto", folder)
        broker.start()
        stack.callback(broker.close)
        told = Told(broker.host, broker.port)
        stack.callback(told.close)
        file = station_file(folder, kind, broker, p1, p2)
        stack.enter_context(process("services.relay_bridge", "--config", str(file), "--var", str(folder / "var")))
        told.state(lambda state: state["on"] is True)
        switch, read = bare(stack, lone)
        rounds = [pair(told, switch, read, number) for number in range(WARM_UP + PAIRS)][WARM_UP:]
    ours, call, back = ([1000 * sample for sample in samples] for samples in zip(*rounds, strict=True))
    return figure(kind, ours, call, back)


def pair(told: "Told", switch: Call, read: Callable[[], None], number: int) -> tuple[float, float, float]:
    """One command through the bridge, one bare call, and one bare read-back, in seconds."""
    on = number % 2 == 1
    ours = seconds(partial(told.command, on=on, command_id=f"bench-{number}"))
    time.sleep(random.uniform(*PAUSE_S))
    call = seconds(partial(switch, on))
    back = seconds(read)
    time.sleep(random.uniform(*PAUSE_S))
    return ours, call, back


def seconds(work: Callable[[], None]) -> float:
    """How long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Told:
    """A bare MQTT client that commands P1 and hears its state."""

    def __init__(self, host: str, port: int) -> None:
        self._news = threading.Condition()
        self._state: dict[str, Any] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._heard
        self._client.on_connect = lambda client, *_: client.subscribe("sps/demo/relay/p1/state", 1)
        self._client.connect(host, port)
        self._client.loop_start()

    def command(self, *, on: bool, command_id: str) -> None:
        """Until it is confirmed."""
        body = {"ts": datetime.now(UTC).isoformat(), "on": on, "command_id": command_id, "hold_s": 30.0, "reason": "bench"}
        self._client.publish("sps/demo/relay/p1/command", json.dumps(body), 0)
        self.state(lambda state: state["command_id"] == command_id and state["on"] is on)

    def state(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Wait for it."""
        with self._news:
            assert self._news.wait_for(lambda: self._state and wanted(self._state), WITHIN_S), f"in vain; last: {self._state}"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _heard(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._news:
            self._state = json.loads(message.payload)
            self._news.notify_all()


def station_file(folder: Path, kind: str, broker: TestBroker, p1: str, p2: str) -> Path:
    """Two relays of this kind, and nothing else of interest."""
    text = {
        "station": "demo",
        "timezone": "Europe/Paris",
        "broker": {"host": broker.host, "port": broker.port, "start": False},
        "positions": {"p1": {"driver": kind, "address": p1}, "p2": {"driver": kind, "address": p2}},
        "transfer_switch": {"priority": "grid"},
        "battery": {"driver": "simulated", "address": "http://127.0.0.1:9", "capacity_wh": 1152, "inverter_w": 1800, "charge_w": 700},
    }
    file = folder / "station.yaml"
    file.write_text(yaml.safe_dump(text), encoding="utf-8")
    return file


@contextmanager
def loop() -> Iterator[LoopThread]:
    """A loop of its own."""
    own = LoopThread("bare")
    try:
        yield own
    finally:
        own.close()


def bare_kasa(stack: ExitStack, address: str) -> tuple[Call, Callable[[], None]]:
    """python-kasa alone."""
    from kasa import DeviceConfig  # noqa: PLC0415 - an optional extra
    from kasa.device_factory import get_protocol  # noqa: PLC0415

    own = stack.enter_context(loop())
    plug = get_protocol(DeviceConfig("127.0.0.1", port_override=urlsplit(address).port))
    assert plug is not None

    def query(request: dict[str, Any]) -> None:
        own.call(lambda: plug.query(request), _CALL_S)

    stack.callback(lambda: own.call(plug.close, _CALL_S))
    reading = {"system": {"get_sysinfo": {}}, "emeter": {"get_realtime": {}}, "count_down": {"get_rules": {}}}
    return lambda on: query({"system": {"set_relay_state": {"state": int(on)}}}), lambda: query(reading)


def bare_shelly_ble(stack: ExitStack, address: str) -> tuple[Call, Callable[[], None]]:
    """The bridge's own session, without bridge and bus: no library for it needs less than Home Assistant's."""
    session = BleSession(address, 2.0)
    stack.callback(session.close)
    return lambda on: _ignore(session.call("Switch.Set", id=0, on=on)), lambda: _ignore(session.call("Switch.GetStatus", id=0))


def _ignore(_: object) -> None:
    pass


def figure(kind: str, ours: list[float], call: list[float], back: list[float]) -> Figure:
    """The figure from the samples, in milliseconds."""
    p99, call_p99, back_p99 = (statistics.quantiles(samples, n=100)[-1] for samples in (ours, call, back))
    p50, call_p50, back_p50 = (statistics.median(samples) for samples in (ours, call, back))
    conditions = (
        f"p99 of {len(ours)} commands over MQTT and the bridge to the confirmed state: {p99:.1f} ms, p50 {p50:.1f} ms; reference, twice a "
        f"bare call (p99 {call_p99:.1f} ms, p50 {call_p50:.1f} ms) and a bare read-back (p99 {back_p99:.1f} ms, p50 {back_p50:.1f} ms), "
        f"interleaved; emulated devices in a process of their own on loopback, polled each second, {platform.machine()}, "
        f"Python {platform.python_version()}"
    )
    return Figure(f"relay_confirm_{kind}", p99, "ms", 2 * call_p99 + back_p99, 1, conditions, goal_on="ratio")
