"""A reference aggregator in a process of its own, with its real broker, and what stations and people do to it."""

import contextlib
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests
import yaml
from sqlalchemy import Connection

from services.aggregator.config import load_file
from services.aggregator.desk import Desk
from services.aggregator.runtime import Context, make_context
from services.bus.uplink.batches import batches_path, data_path, stations_path
from services.bus.uplink.request_signature import SIGNATURE, TIMESTAMP, signature
from tests.support.needs import need_mosquitto
from tests.support.plain_client import PlainClient
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

NETWORK = "demo-network"
T = TypeVar("T")


class Aggregator:
    """Its file and folders in `folder`; `start` and `kill` as often as one likes."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None, **changes: Any) -> None:
        need_mosquitto()
        broker, api, page = free_ports(3)
        body: dict[str, Any] = {"network": NETWORK, "broker": {"port": broker}, "api": {"port": api}, "page": {"port": page}}
        for section, values in changes.items():
            body[section] = body.get(section, {}) | values if isinstance(values, dict) else values
        self.path = folder / "aggregator.yaml"
        self.path.write_text(yaml.safe_dump(body), encoding="utf-8")
        self.var = folder / "var"
        self.file = load_file(self.path, {})
        self.context: Context = make_context(self.file, self.var, folder / "secrets")
        self.desk = Desk(self.context, self.context.open_database())
        self.url = f"http://127.0.0.1:{api}"
        self.page = f"http://127.0.0.1:{page}"
        self.log = folder / "aggregator.log"
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, within_s: float = 60) -> None:
        """Start it, and wait until it is connected to its broker."""
        command = [sys.executable, "-m", "services.aggregator", "--config", str(self.path), "--var", str(self.var)]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | self._environment
            )
        wait_until(self.ready, within_s, what="the aggregator")

    def ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(encoding="utf-8")
        with contextlib.suppress(requests.ConnectionError):
            return bool(requests.get(f"{self.page}/healthz", timeout=5).json()["broker"] == "connected")
        return False

    def kill(self) -> None:
        """As a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        # Its broker is told by the kernel that its parent is gone, and needs a moment for its farewell.
        wait_until(lambda: not self.broker_answers(), 10, what="the end of the broker")

    def kill_broker(self) -> None:
        """Its broker only; the aggregator starts it again."""
        for child in psutil.Process(self.pid).children(recursive=True):
            if child.name() == "mosquitto":
                child.kill()

    def broker_answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.file.broker.port), 1):
            return True
        return False

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self.desk.engine.dispose()

    def enrol(self, name: str) -> "Enrolled":
        """A station that the broker lets in, too."""
        one = self.desk.enrol([name])[0]
        secrets = self.context.station_secrets()
        station = Enrolled(self, name, secrets.mqtt(name, one.generation), secrets.http(name, one.generation))
        if self._process is not None and self._process.poll() is None:
            station.wait_admitted()
        return station

    def read(self, work: Callable[[Connection], T]) -> T:
        return self.desk.read(work)


class Enrolled:
    """A station as it shows itself: at the broker, and to the API."""

    def __init__(self, aggregator: Aggregator, name: str, mqtt: str, http: str) -> None:
        self.aggregator, self.name, self.mqtt, self.http = aggregator, name, mqtt, http

    def client(self, client_id: str = "") -> PlainClient:
        """A bare MQTT client that is logged in as this station, whatever it calls itself."""
        return PlainClient("127.0.0.1", self.aggregator.file.broker.port, user=self.name, password=self.mqtt, client_id=client_id)

    def wait_admitted(self) -> None:
        """Until the broker has read its files again."""

        def admitted() -> bool:
            try:
                with self.client():
                    return True
            except OSError:
                return False

        wait_until(admitted, 15, what=f"the broker lets {self.name} in")

    def post(self, body: Any, key: str = "key-00000001", *, packed: bool = True, **headers: str) -> requests.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = gzip.compress(raw) if packed else raw
        said = {"Content-Type": "application/json", "Idempotency-Key": key, "Authorization": f"Bearer {self.http}"}
        said |= {"Content-Encoding": "gzip"} if packed else {}
        url = self.aggregator.url + batches_path(self.name)
        return requests.post(url, data=sent, headers=said | {name.replace("_", "-"): value for name, value in headers.items()}, timeout=20)

    def put(self, body: Any) -> requests.Response:
        return requests.put(self.aggregator.url + stations_path(self.name), json=body, headers=self._bearer(), timeout=20)

    def delete(self) -> requests.Response:
        return requests.delete(self.aggregator.url + data_path(self.name), headers=self._bearer(), timeout=20)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.aggregator.url + stations_path(self.name) + path, headers=self._bearer(), timeout=20)

    def signed(self, body: bytes, *, at: float | None = None, secret: str | None = None, path: str | None = None) -> requests.Response:
        """A batch with a signature in place of a token."""
        path = path or batches_path(self.name)
        stamp = f"{time.time() if at is None else at:.0f}"
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": "signed-00000001",
            TIMESTAMP: stamp,
            SIGNATURE: signature(secret or self.http, stamp, "POST", path, body),
        }
        return requests.post(self.aggregator.url + path, data=body, headers=headers, timeout=20)

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.http}"}


def hour_batch(*numbers: int, network: str = NETWORK) -> dict[str, Any]:
    """A batch of hourly records, one for each number of hours after a time."""
    first = datetime(2026, 6, 1, tzinfo=UTC)
    records = [{"start": (first + timedelta(hours=number)).isoformat(), "p1_wh": 100.0 + number, "covered": 1.0} for number in numbers]
    return {"v": 1, "network": network, "kind": "hourly", "cursor": str(max(numbers, default=0)), "records": records}


def event_batch(event_id: str, *, reduction_wh: float = 120.0, final: bool = True, **more: Any) -> dict[str, Any]:
    """A batch with one event's record."""
    record = {
        "id": event_id, "revision": 0, "start": "2026-06-01T16:00:00Z", "end": "2026-06-01T17:00:00Z", "baseline_wh": 200.0,
        "reduction_wh": reduction_wh, "avoided_wh": 110.0, "final": final,
    }  # fmt: skip
    return {"v": 1, "network": NETWORK, "kind": "event", "cursor": event_id, "records": [record | more]}


@contextlib.contextmanager
def aggregator(folder: Path, **changes: Any) -> Iterator[Aggregator]:
    """A running one."""
    one = Aggregator(folder, **changes)
    try:
        one.start()
        yield one
    finally:
        one.close()
