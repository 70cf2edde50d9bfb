"""What must be true before `sps run` starts anything: a writable folder of its own, and free ports."""

import errno
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from services.bus import state_lock
from services.bus.state_format import StateFolderError
from services.cli.exits import CommandFailed
from services.core.config.station import Station

GRACE_S = 2.0
"""How long a port may still be taken: after `kill -9` of a station, its broker needs a moment to notice and end."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that something of ours is about to listen on."""

    host: str
    port: int
    purpose: str
    field: str
    """The line of the station file that sets the port."""
    remedy: str = ""
    """What else than another port would help."""


def listeners(station: Station, services: Iterable[str], *, simulator: bool) -> list[Listener]:
    """What `sps run` will listen on with these services; with `simulator`, its devices too."""
    started = set(services)
    found = []
    if simulator:
        found += [
            Listener(*_address(d.address.replace("hci:tcp:", "hci://", 1)), f"the simulated relay {p}", f"positions.{p}.address")
            for p, d in station.positions.relays().items()
        ]
        found += [
            Listener(*_address(load.address.replace("hci:tcp:", "hci://", 1)), f"the simulated load {name}", f"loads.{name}.address")
            for name, load in station.loads.items()
        ]
        ours = "battery.address" if station.simulation.port_address is None else "simulation.port_address"
        found.append(Listener(*_address(station.simulator_address), "the simulated power station", ours))
        if station.battery.address.startswith("hci:tcp:"):
            found.append(
                Listener(*_address(station.battery.address.replace("hci:tcp:", "hci://", 1)), "the emulated Bluetooth", "battery.address")
            )
        found += [
            Listener(*_address(str(s.bus).replace(":", "://", 1)), f"the simulated INA260 at {p}", f"positions.{p}.bus")
            for p, s in station.positions.ina260s().items()
            if s.simulated
        ]
    if "recorder" in started:
        found.append(Listener(station.recorder.api.host, station.recorder.api.port, "the recorder's query API", "recorder.api.port"))
    if "gateway" in started:
        found.append(Listener(station.web.host, station.web.port, "the page", "web.port"))
    return found


def broker_listener(station: Station) -> Listener:
    """Where the broker that `sps run` starts listens."""
    remedy = "set broker.start to false to use the broker that runs there"
    return Listener(station.broker.host, station.broker.port, "the MQTT broker", "broker.port", remedy)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def refuse_taken(wanted: Iterable[Listener], *, grace_s: float = GRACE_S) -> None:
    """Raise CommandFailed, naming port, purpose and remedy, for the first address that cannot be listened on."""
    deadline = time.monotonic() + grace_s
    for listener in wanted:
        while (error := _refusal(listener)) is not None:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                raise CommandFailed(_taken(listener, error))
            time.sleep(0.1)


def _refusal(listener: Listener) -> OSError | None:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a port whose last connections are still winding down counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError as error:
            return error
    return None


def _taken(listener: Listener, error: OSError) -> str:
    where = f"port {listener.port} on {listener.host}, for {listener.purpose},"
    choice = f"set another port at {listener.field} in the station file"
    if error.errno == errno.EADDRINUSE:
        alternatives = [f"end the program that has it (ss -ltnp sport = :{listener.port})", choice]
        return f"{where} is in use; {' or '.join(filter(None, [*alternatives, listener.remedy]))}"
    return f"{where} cannot be listened on: {error.strerror}; {choice}"


@contextmanager
def claim(var: Path, services: Iterable[str]) -> Iterator[None]:
    """Hold the state folder of each service for this process alone. Raises CommandFailed if it cannot be had."""
    try:
        with state_lock.hold(var, services):
            yield
    except StateFolderError as error:
        raise CommandFailed(str(error)) from None
