"""The aggregator's line to its broker: paho in a thread of its own, and what came in handed over to the event loop."""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

MOST_AT_ONCE = 1_000
ACKNOWLEDGED_S = 10.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that waits to be acknowledged."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    epoch: int
    """Of which connection."""


class Line:
    """Keeps its session while away, and acknowledges a message only once it is kept: the broker sends again what was not."""

    def __init__(self, client_id: str, user: str, password: str, filters: list[str], tls: ssl.SSLContext | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._filters = filters
        self._queue: deque[Arrived] = deque()
        self._something = asyncio.Event()
        self._woken = False
        self._epoch = 0
        self.problem: str | None = "not connected yet"
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, protocol=mqtt.MQTTv311, manual_ack=True
        )
        self._client.username_pw_set(user, password)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.reconnect_delay_set(1, 30)
        self._client.max_inflight_messages_set(1_000)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_connect_fail = self._failed
        self._client.on_disconnect = self._lost
        self._client.on_message = self._message

    def start(self, host: str, port: int) -> None:
        """Begin connecting, and connect again after each loss."""
        self._client.connect_async(host, port, keepalive=30)
        self._client.loop_start()

    def stop(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us."""
        return self.problem is None

    @property
    def epoch(self) -> int:
        """Counts the connections; what was retained comes anew with each."""
        return self._epoch

    async def publish_all(self, messages: list[tuple[str, bytes]]) -> bool:
        """Send at QoS 1; True once the broker has them all. Never waits longer than a few seconds."""
        if self.problem is not None:
            return False
        sent = [self._client.publish(topic, payload, 1) for topic, payload in messages]
        deadline = self._loop.time() + ACKNOWLEDGED_S
        while not all(one.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and one.is_published() for one in sent):
            if self.problem is not None or self._loop.time() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def arrived(self) -> list[Arrived]:
        """Wait for messages, and return what there is."""
        while not self._queue:
            self._something.clear()
            await self._something.wait()
        self._woken = False
        return [self._queue.popleft() for _ in range(min(len(self._queue), MOST_AT_ONCE))]

    def keep(self, messages: list[Arrived]) -> None:
        """These need not be sent again."""
        for one in messages:
            if one.epoch == self._epoch and one.qos:
                self._client.ack(one.mid, one.qos)

    def _connected(self, client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        if reason.is_failure:
            self.problem = f"the broker refuses us: {reason}"
            return
        self._epoch += 1
        client.subscribe([(one, 1) for one in self._filters])

    def _subscribed(self, *_: object) -> None:
        # Not sooner: what stations say before that does not come.
        self.problem = None

    def _failed(self, *_: object) -> None:
        self.problem = "the broker does not answer"

    def _lost(self, *_: object) -> None:
        self.problem = self.problem or "the connection to the broker is lost"

    def _message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self._queue.append(Arrived(message.topic, bytes(message.payload), message.mid, message.qos, self._epoch))
        if not self._woken:
            # One wake-up for all that comes until it is heard.
            self._woken = True
            self._loop.call_soon_threadsafe(self._something.set)
