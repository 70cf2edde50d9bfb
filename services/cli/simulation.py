"""The simulated house as a process of its own: started or adopted, kept under lease, stopped at the end.

It outlives a `kill -9` of us by its lease, as a real house would go on living without its controller.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import requests

from services.cli.exits import CommandFailed
from services.core.config.station import Station

log = logging.getLogger(__name__)

LEASE_S = 120.0
RENEW_S = 10.0
START_S = 30.0
"""Longest that a simulator may take to answer."""
END_S = 5.0
"""Longest that it may take to end before it is killed."""
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers at the simulator's address."""

    station: str
    pid: int
    speed: float


def living(station: Station) -> Identity | None:
    """The simulator of `station` that answers now, or None: nobody does, or it is something else."""
    try:
        answer = requests.get(f"{station.simulator_address}/identity", timeout=2)
        body = answer.json()
        found = Identity(station=str(body["station"]), pid=int(body["pid"]), speed=float(body["speed"]))
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None
    return found if found.station == station.station else None


class SimulatorProcess:
    """The simulator of one station, whether we started it or found it running."""

    def __init__(self, station: Station, config: Path, var: Path) -> None:
        self._station = station
        self._log = var / "simulator" / "simulator.log"
        self._command = [sys.executable, "-m", "services.simulator", "--config", str(config), "--var", str(var)]
        self._command += ["--speed", str(station.simulation.speed), "--lease", str(LEASE_S)]
        self._child: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    async def ensure(self) -> None:
        """Adopt a living simulator that runs at our speed, else start one. Raises CommandFailed if it does not come up."""
        found = await asyncio.to_thread(living, self._station)
        if found is not None:
            self._pid = found.pid
            if found.speed == self._station.simulation.speed:
                log.info("adopted the simulator that was running (pid %d)", found.pid)
                return
            await self.stop()
        self._start()
        await self._wait_until_it_answers()

    async def keep(self) -> None:
        """Renew the lease until cancelled; start the simulator again if it is gone."""
        while True:
            try:
                await asyncio.to_thread(requests.post, f"{self._station.simulator_address}/lease", timeout=5)
            except requests.RequestException as error:
                if not self._alive():
                    log.error("the simulator is gone (%s); starting it again", error)  # noqa: TRY400 - the trace would say nothing
                    with contextlib.suppress(CommandFailed):
                        await self.ensure()
            await asyncio.sleep(RENEW_S)

    async def stop(self) -> None:
        """End the simulator and wait until it is gone."""
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            if not self._alive():
                break
            self._send(signal_number)
            for _ in range(round(END_S / POLL_S)):
                if not self._alive():
                    break
                await asyncio.sleep(POLL_S)
        self._child = self._pid = None

    def kill(self) -> None:
        """End it without waiting."""
        self._send(signal.SIGKILL)

    def _start(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as output:
            # A session of its own, so that Ctrl-C reaches only us; a file, so that no pipe of ours stays open after `kill -9`.
            self._child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)  # noqa: S603
        self._pid = self._child.pid

    async def _wait_until_it_answers(self) -> None:
        for _ in range(round(START_S / POLL_S)):
            if not self._alive():
                raise CommandFailed(f"the simulator ended at once: {self._last_words()} (all of it is in {self._log})")
            if await asyncio.to_thread(living, self._station) is not None:
                return
            await asyncio.sleep(POLL_S)
        raise CommandFailed(f"the simulator did not answer at {self._station.simulator_address} within {START_S:.0f} s; see {self._log}")

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def _alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        if self._pid is None:
            return False
        return _is_running(self._pid)

    def _send(self, signal_number: int) -> None:
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal_number)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    # Where nobody reaps orphans (a container without an init) the dead stay listed, as Z.
    return not status.exists() or ") Z " not in status.read_text(encoding="utf-8", errors="replace")
