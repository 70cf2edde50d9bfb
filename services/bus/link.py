"""One MQTT connection, from its opening to its loss, on the event loop."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from services.bus.link_options import Delivery, LinkOptions
from services.bus.outbox import Outgoing

KEEPALIVE_S = 20
CONNECT_TIMEOUT_S = 5.0
MISC_EVERY_S = 5.0

AS_USUAL = LinkOptions()

log = logging.getLogger(__name__)


BAD_LOGIN = frozenset({134, 135})
"""The reasons for which a broker turns somebody away for who they are: bad user name or password, not authorised."""


class ConnectFailed(Exception):
    """The broker is not there, does not answer, or refuses us."""


class TurnedAway(ConnectFailed):
    """The broker does not know us, or not with this password, or we do not trust it: so it stays until somebody mends a file."""


class Link:
    """paho driven by the event loop instead of by a thread of its own, and thrown away when the connection ends.

    Six services in one process would be six more threads, each message would change threads twice, and every handler
    would need locks. Only opening blocks (name look-up, TCP), so that alone runs in a worker thread. A new paho client
    each time means that no queue of paho's outlives a connection: what is to be sent again is the outbox's business.
    Everything else must be called from the event loop.
    """

    def __init__(
        self,
        client_id: str,
        *,
        will: Outgoing | None,
        on_message: Callable[[str, bytes, bool], None],
        on_read: Callable[[], None],
        options: LinkOptions = AS_USUAL,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        """With `on_delivery` messages go there instead of to `on_message`, and whoever gets them acknowledges them."""
        self.lost = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._on_read = on_read
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._unanswered: set[int] = set()
        self._answered = asyncio.Event()
        """Something about the subscriptions that wait for the broker's word has changed."""
        self._on_delivery = on_delivery
        self._options = options
        self._client = options.client(client_id, manual_ack=on_delivery is not None)
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._client.max_inflight_messages = 0
        if will is not None:
            self._client.will_set(will.topic, will.payload, will.qos, will.retain)

    async def open(self, host: str, port: int) -> None:
        """Connect and wait for the broker's acceptance. Raises ConnectFailed."""
        try:
            await asyncio.to_thread(self._client.connect, host, port, KEEPALIVE_S, **self._options.connect_arguments())
        except ssl.SSLCertVerificationError as error:
            raise TurnedAway(f"its certificate is not to be trusted: {error.verify_message}; {self._options.trust_remedy}") from None
        except OSError as error:
            raise ConnectFailed(error.strerror or str(error)) from None
        self._attach()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._accepted
        except TimeoutError:
            raise ConnectFailed("it accepted the connection and then kept silent") from None

    async def hold(self) -> None:
        """Keep the connection alive until it is lost."""
        while not self.lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MISC_EVERY_S):
                    await self.lost.wait()
            self._client.loop_misc()

    def publish(self, outgoing: Outgoing) -> Callable[[], bool]:
        """Send a message; the result tells whether the broker has acknowledged it (QoS 1)."""
        info = self._client.publish(outgoing.topic, outgoing.payload, outgoing.qos, outgoing.retain)
        return lambda: info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and info.is_published()

    def subscribe(self, filters: Iterable[tuple[str, int]]) -> None:
        """Subscribe to topic filters, each with its quality of service."""
        if (wanted := list(filters)) and (mid := self._client.subscribe(wanted)[1]) is not None:
            self._unanswered.add(mid)

    async def subscribed(self) -> None:
        """Wait until the broker has taken all subscriptions, or the connection is lost. Raises ConnectFailed if it does neither."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                while self._unanswered and not self.lost.is_set():
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            raise ConnectFailed("it let us in and does not answer our subscriptions") from None

    def close(self) -> None:
        """Say goodbye if there is somebody to say it to, and let go of the socket."""
        if self._client.is_connected():
            self._client.disconnect()
            self._client.loop_write()
        # What paho has not closed by now is a broker that never answered or cannot take our goodbye.
        if (sock := self._client.socket()) is not None:
            self._detach(sock)
            self._client.on_socket_close = None
            sock.close()
        self._settle(ConnectFailed("closed"))
        self._end()

    def _attach(self) -> None:
        sock = self._client.socket()
        if not isinstance(sock, socket.socket):
            raise ConnectFailed("it closed the connection at once")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._received
        self._client.on_subscribe = self._subscribed
        self._client.on_socket_close = lambda _client, _data, closing: self._detach(closing)
        self._client.on_socket_register_write = self._write_soon
        self._loop.add_reader(sock, self._read)
        self._write()

    def _detach(self, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _read(self) -> None:
        self._client.loop_read()
        # What TLS has deciphered already, the loop cannot see on the socket.
        while isinstance(sock := self._client.socket(), ssl.SSLSocket) and sock.pending():
            self._client.loop_read()
        self._on_read()

    def _write_soon(self, *_: object) -> None:
        self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._client.loop_write()
        if (sock := self._client.socket()) is None:
            return
        if self._client.want_write():
            self._loop.add_writer(sock, self._write)
        else:
            self._loop.remove_writer(sock)

    def _connected(self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        self._settle(self._refusal(reason) if reason.is_failure else None)

    def _refusal(self, reason: ReasonCode) -> ConnectFailed:
        if reason.value not in BAD_LOGIN:
            return ConnectFailed(f"it refuses us: {reason}")
        if self._options.user is None:
            return TurnedAway(f"it wants a user and password, and there is none for us; {self._options.login_remedy}")
        return TurnedAway(f"it refuses user {self._options.user} with the password in our secrets; {self._options.login_remedy}")

    def _disconnected(self, *_: object) -> None:
        self._settle(ConnectFailed("it closed the connection"))
        self._end()

    def _end(self) -> None:
        self.lost.set()
        self._answered.set()

    def _subscribed(self, _client: mqtt.Client, _data: object, mid: int, reasons: list[ReasonCode], _properties: object) -> None:
        self._unanswered.discard(mid)
        self._answered.set()
        if any(reason.is_failure for reason in reasons):
            log.warning("the broker refuses a subscription: what was subscribed to does not come; may this user read it?")

    def _received(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if self._on_delivery is None:
            self._on_message(message.topic, bytes(message.payload), message.retain)
            return
        mid, qos = message.mid, message.qos
        payload = bytes(message.payload)
        self._on_delivery(Delivery(message.topic, payload, message.retain, lambda: self._acknowledge(mid, qos), self.lost.is_set))

    def _acknowledge(self, mid: int, qos: int) -> None:
        if not self.lost.is_set():
            self._client.ack(mid, qos)

    def _settle(self, failure: ConnectFailed | None) -> None:
        if self._accepted.done():
            return
        if failure is None:
            self._accepted.set_result(None)
        else:
            self._accepted.set_exception(failure)
            # Nobody awaits it if the connection ends before its opening is awaited.
            self._accepted.exception()
