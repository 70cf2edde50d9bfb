"""The heartbeat of a running service: it beats in the service's own event loop, and only while there is reason to."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

from services.bus.heartbeat import IDLE, beat_file, write_beat
from services.bus.systemd import Systemd

BEAT_S = 5.0
LOOK_S = 0.5
"""Until the first beat it looks so often whether there is a session."""

log = logging.getLogger(__name__)


class Session(Protocol):
    """A service's place on the bus."""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us."""
        ...


class Heartbeat:
    """One service's heartbeat: kept on disk while its loops come round and a session with the broker is up; told to systemd, too."""

    def __init__(self, service: str, folder: Path, systemd: Systemd, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`folder` holds the heartbeats of all services."""
        self.path = beat_file(folder, service)
        self._service = service
        self._systemd = systemd
        self._monotonic = monotonic
        self._sessions: WeakSet[Session] = WeakSet()
        self._due: dict[str, float] = {}
        self._beaten = self._complained = False

    def follow(self, session: Session) -> None:
        """Count `session` as this service's; one that is up is enough."""
        self._sessions.add(session)

    def came_round(self, loop: str, within_s: float) -> None:
        """`loop` came round, and will again `within_s` real seconds: if it does not, the service hangs."""
        self._due[loop] = self._monotonic() + within_s

    def ended(self, loop: str) -> None:
        """`loop` ended, as it may."""
        self._due.pop(loop, None)

    def beat(self) -> None:
        """Beat, if there is reason to."""
        now_s = self._monotonic()
        late = next((loop for loop, due_s in self._due.items() if now_s > due_s), None)
        connected = any(session.connected for session in self._sessions)
        said = f"its {late} hangs" if late is not None else "running" if connected else "no session with the broker"
        self._systemd.beat(self._service, running=late is None, status=f"{self._service}: {said}")
        if late is not None or not connected:
            return
        try:
            write_beat(self.path, now_s)
            self._beaten = True
        except OSError as error:
            if not self._complained:
                log.warning("%s: its heartbeat cannot be kept in %s: %s", self._service, self.path, error.strerror)
            self._complained = True

    async def run(self) -> None:
        """Beat until cancelled; after that there is no heartbeat."""
        self._forget()
        with contextlib.suppress(OSError):
            self.path.with_name(IDLE).unlink(missing_ok=True)
        try:
            while True:
                self.beat()
                await asyncio.sleep(BEAT_S if self._beaten else LOOK_S)
        finally:
            self._systemd.gone(self._service)
            self._forget()

    def _forget(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
