"""What all emulated Shellys share: a port, power, faults, and the switches behind it."""

import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Protocol

from services.simulator.devices.faults import Faults, spoil
from services.simulator.devices.shelly_switch import Switch
from services.simulator.http_server import HttpServer, Request, Response, Upgrade


class Responder(Protocol):
    """What one generation of devices answers."""

    def __call__(self, request: Request) -> Response:
        """The answer to `request` of a healthy device."""
        ...


class ShellyDevice:
    """The device: its switches by channel, behind one HTTP port. While the grid is out it is silent."""

    def __init__(
        self,
        name: str,
        switches: Mapping[int, Switch],
        respond: Responder,
        *,
        host: str,
        port: int,
        powered: bool = True,
        upgrade: Upgrade | None = None,
    ) -> None:
        self.name = name
        self.switches = dict(switches)
        self.mac = blake2b(name.encode(), digest_size=6).hexdigest().upper()
        self._respond = respond
        self._server = HttpServer(self._answer, host, port, upgrade=upgrade)
        self._faults = Faults()
        self._powered = powered
        self._booted_at = time.monotonic()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def uptime_s(self) -> int:
        """Whole real seconds since it booted."""
        return int(time.monotonic() - self._booted_at)

    async def start(self) -> None:
        """Boot, if there is power, and listen. Raises OSError when the port is taken."""
        if self._powered:
            self.boot()
        await self._server.start()

    async def stop(self) -> None:
        """Go away: no port, no timers."""
        self._halt()
        await self._server.stop()

    async def reboot(self) -> None:
        """Restart now: connections and timers are lost."""
        await self._server.drop_connections()
        self.boot()

    def boot(self) -> None:
        """Take the initial state, as after a power cut."""
        self._booted_at = time.monotonic()
        for switch in self.switches.values():
            switch.boot()

    async def power(self, on: bool) -> None:
        """The supply comes or goes. A device without it neither answers nor keeps its timers."""
        if on == self._powered:
            return
        self._powered = on
        await self._server.drop_connections()
        if on:
            self.boot()
        else:
            self._halt()

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` on the wire from now on, instead of those before; see Switch.suffer for the others."""
        self._faults = faults
        if faults.refuse:
            await self._server.stop()
        else:
            await self._server.start()

    @property
    def mute(self) -> bool:
        """Whether nothing reaches the client that it did not ask for: no power, or a fault on the wire."""
        faults = self._faults
        return not self._powered or faults.silent or faults.http_500 or faults.nonsense or faults.half

    async def drop_connections(self) -> None:
        """Lose all connections, as when the Wi-Fi fails for a moment."""
        await self._server.drop_connections()

    def _halt(self) -> None:
        for switch in self.switches.values():
            switch.halt()

    async def _answer(self, request: Request) -> Response | None:
        if not self._powered:
            return None
        return await spoil(self._faults, self._respond(request))
