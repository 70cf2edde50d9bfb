"""The aggregator's broker for tests: a Mosquitto with TLS, client certificates and a password, that can be killed and comes back."""

import json
import os
import signal
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from services.bus.broker.choose import find_mosquitto
from services.bus.uplink.topics import NetworkTopics
from tests.support.certificates import Authority
from tests.support.needs import need_mosquitto
from tests.support.plain_client import Heard
from tests.support.ports import free_port
from tests.support.waiting import wait_until

USER, PASSWORD = "station-demo", "correct horse"
AGGREGATOR = "aggregator"


class RemoteBroker:
    """Certificates lie in `folder`: `ca.crt`, `server.crt`, `client.crt` and their keys."""

    def __init__(self, folder: Path) -> None:
        need_mosquitto()
        self.port = free_port()
        self.folder = folder
        authority = Authority(folder)
        authority.issue("server")
        authority.issue("client")
        password = folder / "passwd"
        for user in (USER, AGGREGATOR):
            flags = ["-b"] if password.exists() else ["-c", "-b"]
            subprocess.run(["mosquitto_passwd", *flags, str(password), user, PASSWORD], check=True, capture_output=True)
        (folder / "mosquitto.conf").write_text(
            f"""listener {self.port} 127.0.0.1
cafile {folder}/ca.crt
certfile {folder}/server.crt
keyfile {folder}/server.key
require_certificate true
allow_anonymous false
password_file {password}
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes true
max_queued_messages 5000
"""
            + ("user root\n" if os.geteuid() == 0 else ""),
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = find_mosquitto()
        assert program is not None
        self._process = subprocess.Popen([str(program), "-c", str(self.folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    close = kill


class RemoteAggregator:
    """The aggregator's own client at its broker: hears what stations say, and sends them events."""

    def __init__(self, broker: RemoteBroker, network: str = "Borough") -> None:
        self.topics = NetworkTopics(network)
        self.heard: list[Heard] = []
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="aggregator")
        context = ssl.create_default_context(cafile=str(broker.folder / "ca.crt"))
        context.load_cert_chain(broker.folder / "client.crt", broker.folder / "client.key")
        self._client.tls_set_context(context)
        self._client.username_pw_set(AGGREGATOR, PASSWORD)
        self._client.on_message = lambda _c, _d, m: self.heard.append(Heard(m.topic, bytes(m.payload), m.retain))
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.reconnect_delay_set(1, 1)
        self._client.max_inflight_messages_set(100)
        self._port = broker.port

    def __enter__(self) -> Self:
        def up() -> bool:
            try:
                self._client.connect("127.0.0.1", self._port)
            except (OSError, ssl.SSLError):
                return False
            return True

        wait_until(up, 10, what="the aggregator's broker")
        self._client.loop_start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, body: bytes | str | dict[str, Any], topic: str | None = None, *, retain: bool = False) -> None:
        payload = json.dumps(body) if isinstance(body, dict) else body
        self._client.publish(topic or self.topics.event, payload, 1, retain).wait_for_publish(10)

    def send_soon(self, body: bytes | str, topic: str | None = None) -> Any:
        return self._client.publish(topic or self.topics.event, body, 1)

    def watch(self, handler: Callable[[str, bytes], None]) -> None:
        """Have `handler` called with whatever comes from now on, in the client's thread."""
        self._client.on_message = lambda _c, _d, m: handler(m.topic, bytes(m.payload))

    def answers(self, event_id: str | None = None, name: str = "demo") -> list[dict[str, Any]]:
        found = [heard.json for heard in self.heard if heard.topic == self.topics.answer(name)]
        return [one for one in found if event_id is None or one["id"] == event_id]

    def on(self, topic: str) -> list[bytes]:
        return [heard.payload for heard in self.heard if heard.topic == topic]
