"""One light station's connection: a paho client without a thread, turned by the event loop. Ten thousand fit in one process."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S = 300
PER_SOURCE = 4_000
"""Connections from one loopback address: a search for a free port slows down long before all are taken."""


class MqttLine:
    """Connects, keeps up, and says when it is lost. All but `open` belongs to the event loop."""

    def __init__(
        self,
        number: int,
        client_id: str,
        credentials: tuple[str, str] | None,
        will: tuple[str, bytes],
        subscribe: list[str],
        on_ready: Callable[[], None],
        on_message: Callable[[str, bytes], None],
        on_lost: Callable[[str], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._number = number
        self._subscribe = subscribe
        self._on_ready, self._on_message, self._on_lost = on_ready, on_message, on_lost
        self._loop = asyncio.get_running_loop()
        self._open = False
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True, protocol=mqtt.MQTTv311)
        if credentials is not None:
            self._client.username_pw_set(*credentials)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.will_set(*will, qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._on_ready()
        self._client.on_message = lambda _client, _data, message: self._on_message(message.topic, bytes(message.payload))

    def open(self, host: str, port: int) -> None:
        """Connect; blocks for as long as TCP takes, so call it in a thread. Raises OSError."""
        # Each address of loopback has ports of its own.
        source = f"127.0.0.{2 + self._number // PER_SOURCE}" if host == "127.0.0.1" else ""
        self._client.connect(host, port, KEEPALIVE_S, bind_address=source)

    def attach(self) -> None:
        """From now on the event loop turns it."""
        # Not before: what fails in `open` is in another thread, and must be said once. Who dials twice throws itself out for ever.
        self._client.on_disconnect = self._disconnected
        sock = self._client.socket()
        if sock is None:
            self._on_lost("the broker closed the connection at once")
            return
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open = True
        self._loop.add_reader(sock.fileno(), self._read)
        self._client.on_socket_close = lambda _client, _data, closing: self._detach(closing.fileno())
        self._write()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send at QoS 1."""
        self._client.publish(topic, payload, 1, retain)
        self._write()

    def turn(self) -> None:
        """Pings when it is time; to be called now and then."""
        if self._open:
            self._client.loop_misc()
            self._write()

    def close(self) -> None:
        """Say goodbye."""
        self._client.on_disconnect = None
        if self._open:
            self._client.disconnect()
            self._client.loop_write()
        if (sock := self._client.socket()) is not None:
            self._detach(sock.fileno())
            sock.close()

    def _read(self) -> None:
        self._client.loop_read()
        self._write()

    def _write(self) -> None:
        if (sock := self._client.socket()) is None:
            return
        if self._client.want_write():
            self._client.loop_write()
        if self._client.socket() is not None and self._client.want_write():
            self._loop.add_writer(sock.fileno(), self._write)
        else:
            self._loop.remove_writer(sock.fileno())

    def _detach(self, number: int) -> None:
        self._open = False
        if number >= 0:
            self._loop.remove_reader(number)
            self._loop.remove_writer(number)

    def _connected(self, client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        if not reason.is_failure:
            client.subscribe([(topic, 1) for topic in self._subscribe])

    def _disconnected(self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        self._on_lost(str(reason))
