"""Which broker to start, and what must be true before any is started."""

import errno
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.bus.broker import embedded, mosquitto
from services.bus.broker.errors import BrokerError, PortInUse
from services.core.config.station import Broker
from services.core.config.web import is_loopback

_SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
"""Where packages put `mosquitto`; these folders are not on everybody's PATH."""


@asynccontextmanager
async def start_broker(broker: Broker, var: Path) -> AsyncIterator[str]:
    """Run a broker at the configured address while the context lasts; yields its name. Its state is kept in `var/broker`.

    It knows no passwords, so it listens on loopback only. Raises BrokerError (PortInUse) if it cannot be started.
    """
    refuse_beyond_loopback(broker.host)
    refuse_taken_port(broker.host, broker.port)
    folder = var / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    program = find_mosquitto()
    chosen = (
        embedded.running(broker.host, broker.port, folder)
        if program is None
        else mosquitto.running(program, broker.host, broker.port, folder)
    )
    async with chosen as name:
        yield name


def find_mosquitto() -> Path | None:
    """Where Mosquitto is installed, if it is."""
    found = shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS.split(":")]))
    return Path(found) if found else None


def refuse_beyond_loopback(host: str) -> None:
    """Raise BrokerError unless `host` is an address that only this machine can reach."""
    if is_loopback(host):
        return
    raise BrokerError(
        f"broker.host: {host} can be reached from elsewhere, and the broker started here knows no passwords; "
        "use 127.0.0.1, or set broker.start: false and run a broker of your own"
    )


def refuse_taken_port(host: str, port: int) -> None:
    """Raise PortInUse, or BrokerError for another reason, unless `port` can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As brokers do: connections that still wind down do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(host, port) from None
            raise BrokerError(f"cannot listen on {host} port {port}: {error.strerror}; set another broker.port") from None
