"""Mosquitto as it runs in its container: the shipped configuration, with the users, rules and certificates of `sps setup`."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from services.bus.broker.choose import find_mosquitto
from services.bus.clock import utc_now
from services.bus.provision import Wishes, set_up
from services.bus.provision.hashes import hashed
from services.bus.secrets import secret_in
from services.core.config.station import Station
from tests.support.needs import need_mosquitto
from tests.support.plain_client import Heard
from tests.support.ports import free_port, free_ports
from tests.support.waiting import wait_until

SHIPPED = Path(__file__).parents[2] / "mosquitto"
HOST = "127.0.0.1"
WITNESS = "witness"


@dataclass
class GuardedMosquitto:
    """One broker; stop it before the test ends, or use `guarded`."""

    folder: Path
    secrets: Path
    port: int
    tls_port: int | None
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text(encoding="utf-8", errors="replace")

    @property
    def denied(self) -> list[str]:
        """What it says about messages that its rules forbade, newest last."""
        return [line for line in self.log.splitlines() if "Denied" in line]

    def start(self) -> None:
        program = find_mosquitto()
        assert program is not None
        with (self.folder / "mosquitto.log").open("ab") as output:
            self.process = process = subprocess.Popen([program, "-c", self.folder / "mosquitto.conf"], stdout=output, stderr=output)
        wait_until(lambda: self._listens(process), what="Mosquitto to listen")
        assert process.poll() is None, self.log

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def witness(self) -> "UserClient":
        """One who may read and write everything, which nobody may in life. Restarts the broker."""
        for file, line in (("passwd", f"{WITNESS}:{hashed(WITNESS)}"), ("acl", f"\nuser {WITNESS}\ntopic readwrite #\ntopic read $SYS/#")):
            with (self.secrets / "mosquitto" / file).open("a", encoding="ascii") as grown:
                grown.write(f"{line}\n")
        self.stop()
        self.start()
        return UserClient(self, WITNESS, password=WITNESS)

    def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        """Without a connection of our own: Mosquitto before 2.0.12 lets one more in for each that ends without a login."""
        if process.poll() is not None:
            return True
        found = psutil.Process(process.pid).net_connections("tcp4")
        return {self.port, self.tls_port or self.port} <= {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN}

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(10)
            self.process = None


@contextmanager
def guarded(
    folder: Path, station: Station, *, port: int | None = None, tls: bool = False, everything: bool = True, **conf: object
) -> Iterator[GuardedMosquitto]:
    """The broker of `station` in `folder`, whose secrets are made beside it; `conf` replaces values, `everything` logs each message."""
    need_mosquitto()
    broker = GuardedMosquitto(folder / "broker", folder / "secrets", port or free_port(), free_ports(1)[0] if tls else None)
    broker.folder.mkdir()
    found = set_up(broker.secrets, station, Wishes(), utc_now())
    assert all(finding.made or finding.in_order for finding in found)
    (broker.folder / "mosquitto.conf").write_text(_configuration(broker, everything=everything, conf=conf), encoding="utf-8")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def _configuration(broker: GuardedMosquitto, *, everything: bool, conf: dict[str, object]) -> str:
    """The shipped text with this machine's folders and ports; what else differs is added at its end."""
    text = (SHIPPED / "mosquitto.conf").read_text(encoding="utf-8")
    text = text.replace("listener 1883\n", f"listener {broker.port} {HOST}\n")
    text = text.replace("/mosquitto/secrets/", f"{broker.secrets}/mosquitto/").replace("/mosquitto/data/", f"{broker.folder}/")
    extra = broker.folder / "extra"
    extra.mkdir()
    text = text.replace("include_dir /mosquitto/extra", f"include_dir {extra}")
    if broker.tls_port is not None:
        tls = (SHIPPED / "extra/tls/tls.conf").read_text(encoding="utf-8")
        tls = tls.replace("listener 8883\n", f"listener {broker.tls_port} {HOST}\n")
        (extra / "tls.conf").write_text(tls.replace("/mosquitto/secrets/", f"{broker.secrets}/mosquitto/"), encoding="utf-8")
    for key, value in conf.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"{key} ")]
        text = text.replace(line, f"{key} {value}")
    # Denied messages show at this level only.
    added = ["log_type all"] if everything else []
    return text + "\n".join([*added, *(["user root"] if os.geteuid() == 0 else []), ""])


class UserClient:
    """A bare client that is logged in as one user; records all it hears and how it was let in."""

    def __init__(self, broker: GuardedMosquitto, user: str | None, *, password: str | None = None, client_id: str = "") -> None:
        self.heard: list[Heard] = []
        self.answer: str | None = None
        """What the broker said to the login; None: nothing yet."""
        self.lost = threading.Event()
        self._granted: list[int] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv311, reconnect_on_failure=False)
        if user is not None:
            self._client.username_pw_set(user, password if password is not None else secret_in(broker.secrets / "mqtt" / user))
        self._client.on_message = lambda _c, _d, m: self.heard.append(Heard(m.topic, bytes(m.payload), m.retain))
        self._client.on_connect = lambda _c, _d, _f, reason, _p: setattr(self, "answer", str(reason))
        self._client.on_subscribe = lambda _c, _d, mid, _r, _p: self._granted.append(mid)
        self._client.on_disconnect = lambda *_: self.lost.set()
        self._broker = broker

    def __enter__(self) -> Self:
        self._client.connect(HOST, self._broker.port)
        self._client.loop_start()
        wait_until(lambda: self.answer or self.lost.is_set(), what="the broker's answer")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, *filters: str, qos: int = 0) -> None:
        """Subscribe to all of them, and wait for the broker's word. What it sent before has come in then."""
        _, mid = self._client.subscribe([(one, qos) for one in filters])
        wait_until(lambda: mid in self._granted, what="the subscription")

    def publish(self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False) -> mqtt.MQTTMessageInfo:
        return self._client.publish(topic, payload, qos, retain)

    def stop_reading(self) -> None:
        """Stay connected, and read nothing any more."""
        self._client.loop_stop()

    def payloads(self, topic: str) -> list[bytes]:
        return [heard.payload for heard in self.heard if heard.topic == topic]
