"""A bare MQTT 3.1.1 client, as somebody else would write one: paho with its own thread, and none of our code."""

import json
import threading
from dataclasses import dataclass
from typing import Any, Self

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode


@dataclass(frozen=True)
class Heard:
    topic: str
    payload: bytes
    retained: bool

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class PlainClient:
    """Records all it hears; a context manager."""

    def __init__(
        self, host: str, port: int, *, subscribe: str | None = "#", user: str | None = None, password: str = "", client_id: str = ""
    ) -> None:
        self.heard: list[Heard] = []
        self.refused = False
        self._ready = threading.Event()
        self._filter = subscribe
        self.lost = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv311, reconnect_on_failure=False)
        if user is not None:
            self._client.username_pw_set(user, password)
        self._client.on_message = lambda _c, _d, m: self.heard.append(Heard(m.topic, bytes(m.payload), m.retain))
        self._client.on_connect = self._connected
        self._client.on_disconnect = lambda *_: self.lost.set()
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect(host, port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        if not self._ready.wait(5) or self.refused:
            self.__exit__()
            raise ConnectionError("the broker did not answer, or did not let us in")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes | str | dict[str, Any], *, qos: int = 1, retain: bool = False) -> None:
        """Publish and wait for the acknowledgement."""
        body = json.dumps(payload) if isinstance(payload, dict) else payload
        self._client.publish(topic, body, qos, retain).wait_for_publish(5)

    def on(self, topic: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.topic == topic]

    def _connected(self, _client: object, _data: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        if reason.is_failure:
            self.refused = True
            self._ready.set()
            return
        if self._filter is None:
            self._ready.set()
        else:
            self._client.subscribe(self._filter, 1)
