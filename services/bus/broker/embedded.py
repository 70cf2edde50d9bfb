"""The embedded broker (amqtt), for a machine without Mosquitto: MQTT 3.1.1, in this process's event loop."""

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from services.bus.broker.errors import BrokerError
from services.bus.state_file import read_state, write_atomic

if TYPE_CHECKING:
    from amqtt.broker import Broker, BrokerContext

SAVE_EVERY_S = 1.0
STOP_TRY_S = 0.5
STOP_TRIES = 10

log = logging.getLogger(__name__)

Retained = dict[str, tuple[str, int]]
"""Topic to payload (base64) and quality of service."""


@asynccontextmanager
async def running(host: str, port: int, folder: Path) -> AsyncIterator[str]:
    """The embedded broker while the context lasts. Raises BrokerError if it does not come up.

    Retained messages outlive it: they are on disk at most a second after their acknowledgement (Mosquitto: at once).
    """
    try:
        # Imported only when needed: it costs memory and half a second.
        from amqtt.broker import Broker, BrokerContext  # noqa: PLC0415
        from amqtt.errors import BrokerError as AmqttError  # noqa: PLC0415
    except ImportError:
        raise BrokerError("no broker is installed; install Mosquitto, or smart-power-station[broker]") from None
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.ERROR)
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(config)
    try:
        await broker.start()
    except AmqttError as error:
        raise BrokerError(f"the embedded broker cannot be started: {error.__cause__ or error}") from None
    keeper = Retention(BrokerContext(broker), folder / "retained.json")
    await keeper.restore()
    keeping = asyncio.create_task(keeper.keep(), name="retained messages")
    try:
        yield "the embedded broker"
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        keeper.save()
        await _shut_down(broker)


async def _shut_down(broker: "Broker") -> None:
    # amqtt waits without end for a client that no longer reads; each try leaves one such client behind.
    for _ in range(STOP_TRIES):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TRY_S):
                await broker.shutdown()
                return
    log.warning("the embedded broker did not stop in order: its clients do not read")


class Retention:
    """Retained messages on disk, which amqtt itself keeps in memory only."""

    def __init__(self, broker: "BrokerContext", path: Path) -> None:
        self._broker = broker
        self._path = path
        self._saved: Retained = {}

    async def restore(self) -> None:
        """Retain again what was saved."""
        data = read_state(self._path)
        if data is None:
            return
        try:
            saved = {str(topic): (str(payload), int(qos)) for topic, (payload, qos) in json.loads(data).items()}
            for topic, (payload, qos) in saved.items():
                await self._broker.retain_message(topic, base64.b64decode(payload), qos)
        except (ValueError, TypeError, AttributeError) as error:
            log.error("%s cannot be read (%s); starting without retained messages", self._path, error)  # noqa: TRY400 - said in full
            return
        self._saved = saved

    async def keep(self) -> None:
        """Save whenever something changed, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            try:
                self.save()
            except OSError as error:
                log.error("%s cannot be written: %s", self._path, error.strerror)  # noqa: TRY400 - said in full

    def save(self) -> None:
        """Write what is retained, if it changed. Raises OSError."""
        now = {
            topic: (base64.b64encode(message.data).decode(), message.qos or 0) for topic, message in self._broker.retained_messages.items()
        }
        if now != self._saved:
            write_atomic(self._path, json.dumps(now).encode())
            self._saved = now
