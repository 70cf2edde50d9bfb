"""Whether the station runs now, and whether an event does, for commands that touch its devices themselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.bus.client import Received
from services.bus.clock import SystemClock
from services.bus.contract import CONTROLLER_STATE, OPERATOR, SERVICE_STATUS
from services.bus.messages.state import ControllerState, ServiceStatus
from services.bus.runtime import Context
from services.cli.admission import admitted
from services.cli.options import secrets_of
from services.core.config.station import Station

_CONNECT_S = 2.0
_RETAINED_S = 1.0
"""What the broker retains comes at once."""


class RunningStation:
    """What the bus says of the station; kept up to date while watched."""

    def __init__(self) -> None:
        self.bridge_online = False
        self.controller_online = False
        self._phase: str | None = None

    @property
    def event(self) -> str | None:
        """The event that runs or comes, in words; None where there is none."""
        if not self.controller_online or self._phase in (None, "normal"):
            return None
        return "an event runs" if self._phase == "ongoing" else "an event is about to start"

    def busy(self) -> str | None:
        """Why no device may be tested now: somebody else switches it."""
        return self.event or ("the station runs, and would switch it back; stop `sps run` first" if self.bridge_online else None)

    def on_status(self, received: Received[ServiceStatus]) -> None:
        """Take a service's status."""
        online = received.message.state == "online"
        if received.params["service"] == "relay_bridge":
            self.bridge_online = online
        elif received.params["service"] == "controller":
            self.controller_online = online

    def on_controller(self, received: Received[ControllerState]) -> None:
        """Take the controller's state."""
        self._phase = received.message.phase


@asynccontextmanager
async def watched(station: Station) -> AsyncIterator[RunningStation]:
    """The running station, if there is one; where no broker answers, nothing runs.

    Raises CommandFailed if a broker answers and does not let us look.
    """
    running = RunningStation()
    bus = Context(station, SystemClock(), Path(), secrets=secrets_of()).bus("relay-test", user=OPERATOR, announce=False)
    bus.subscribe(SERVICE_STATUS, running.on_status)
    bus.subscribe(CONTROLLER_STATE, running.on_controller)
    async with bus:
        if not await admitted(bus, _CONNECT_S):
            yield running
            return
        await asyncio.sleep(_RETAINED_S)
        yield running
