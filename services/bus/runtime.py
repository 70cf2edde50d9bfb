"""How a service starts, alone or among others: configuration, clock, state folder, logging, signals, exit codes."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from services.bus import deployment, idle, interpreter, metrics, programmes, state_format, state_lock
from services.bus.beating import Heartbeat
from services.bus.client import Bus
from services.bus.clock import Clock, FollowedClock
from services.bus.deployment import Deployment
from services.bus.link_options import LinkOptions
from services.bus.secrets import login, secrets_folder
from services.bus.state_format import StateFolderError
from services.bus.systemd import Systemd
from services.bus.tls import trusting
from services.bus.wall_clock import system_clock
from services.core.config.load import ConfigError, Problem, parse_station
from services.core.config.simulated import LOOPBACK
from services.core.config.station import Station

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """What every service is given."""

    station: Station
    clock: Clock
    var: Path
    """The root of all state."""
    random: Random = field(default_factory=Random)
    """For jitter only."""
    secrets: Path | None = None
    """The folder of secrets; unset: beside `var`."""
    deployment: Deployment = field(default_factory=Deployment)
    systemd: Systemd = field(default_factory=lambda: Systemd(None))
    heartbeat: Heartbeat | None = None
    """The running service's own; see `beating`."""

    def bus(self, service: str, *, user: str | None = None, announce: bool = True, alone: bool = True) -> Bus:
        """A client of the station's broker, logged in as `user` (unset: by its name) if there is a password for it, else anonymously.

        `announce=False` is for a tool that comes and goes without a status, `alone=False` for one of several of that name.
        """
        broker = self.station.broker
        folder = self.secrets or secrets_folder(self.var)
        ca_file = folder / broker.ca_file if broker.ca_file is not None else None

        def options() -> LinkOptions:
            known = login(user or service, folder)
            tls = trusting(ca_file) if broker.tls else None
            return LinkOptions(tls=tls) if known is None else LinkOptions(user=known.user, password=known.password, tls=tls)

        bus = Bus(
            self.station.station,
            service,
            (broker.host, broker.port),
            clock=self.clock,
            jitter=self.random,
            announce=announce,
            alone=alone,
            options=options,
        )
        if self.heartbeat is not None:
            self.heartbeat.follow(bus)
        return bus

    def came_round(self, loop: str, within_s: float) -> None:
        """Tell the heartbeat that `loop` of this service came round, and will again `within_s` real seconds."""
        if self.heartbeat is not None:
            self.heartbeat.came_round(loop, within_s)

    def ended(self, loop: str) -> None:
        """Tell the heartbeat that `loop` ended, as it may."""
        if self.heartbeat is not None:
            self.heartbeat.ended(loop)

    def state_dir(self, service: str) -> Path:
        """The folder of a service's own state, created if need be. Raises OSError."""
        folder = self.var / service
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def load_station(path: Path) -> Station:
    """The checked station in the file at `path`, placed where this process runs. Raises ConfigError, also when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(None, str(path), "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(None, str(path), "", f"byte {error.start} is not UTF-8; save it as UTF-8")]) from None
    surroundings = deployment.here()
    station = parse_station(text, surroundings.simulator_host or LOOPBACK)
    return surroundings.placed(programmes.enrolled(station, path.parent))


def make_context(station: Station, var: Path, service: str | None = None) -> Context:
    """The context where this process runs: for all services, or for the one that is named, which then needs its own folder only.

    Raises StateFolderError if state could not be kept under `var`, ConfigError for an environment variable that makes no sense.
    """
    surroundings = deployment.here()
    folder = var if service is None else var / service
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StateFolderError(f"cannot write to {folder}: {error.strerror}; choose another folder with --var") from None
    return Context(
        station=station,
        clock=FollowedClock() if station.clock == "simulated" else system_clock(var),
        var=var,
        deployment=surroundings,
        systemd=Systemd(surroundings.notify_socket),
    )


async def beating(name: str, run: Callable[[Context], Awaitable[None]], context: Context) -> None:
    """Run a service with its heartbeat beside it, in the same loop."""
    heartbeat = Heartbeat(name, context.deployment.alive or context.var, context.systemd)
    beats = asyncio.create_task(heartbeat.run(), name=f"{name}: heartbeat")
    try:
        await run(replace(context, heartbeat=heartbeat))
    finally:
        beats.cancel()
        await asyncio.wait({beats})


async def _settling(work: Awaitable[None]) -> None:
    settled = asyncio.create_task(interpreter.settle(), name="interpreter")
    try:
        await work
    finally:
        settled.cancel()


def set_up_logging(level: str, service: str) -> None:
    """Log to standard error, one line each: `12:34:56 controller INFO …`."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format=f"%(asctime)s {service} %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )


def standalone(name: str, run: Callable[[Context], Awaitable[None]]) -> None:
    """Run one service as a process of its own until SIGTERM or SIGINT, then exit 0; exit 2 for a wrong station file, 1 for the rest."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}")
    add_options(parser)
    arguments = parser.parse_args()
    set_up_logging(arguments.log_level, name)
    try:
        context = make_context(load_station(arguments.config), arguments.var, name)
        rest_if_unused(name, context)
        with state_lock.hold(context.var, [name]), metrics.served(context.deployment):
            state_format.admit(context.var, [name])
            asyncio.run(until_signalled(_settling(beating(name, run, context))))
    except ConfigError as error:
        sys.exit(_say(*error.problems, code=2))
    except StateFolderError as error:
        sys.exit(_say(error, code=1))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every service has."""
    config, var = os.environ.get("SPS_CONFIG") or "config/station.yaml", os.environ.get("SPS_VAR") or "var"
    parser.add_argument("--config", type=Path, default=Path(config), help="the station file (default: %(default)s)")
    parser.add_argument("--var", type=Path, default=Path(var), help="folder for state (default: %(default)s)")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])


def rest_if_unused(name: str, context: Context) -> None:
    """Where the deployment has a place for every service: do nothing, and say so, if the station has no use for this one."""
    if context.deployment.idle and (why := idle.unused(name, context.station)) is not None:
        log.info("nothing to do: %s; resting until it is ended", why)
        idle.rest((context.deployment.alive or context.var) / name)


async def until_signalled(work: Awaitable[None]) -> None:
    """Await `work`; SIGTERM and SIGINT cancel it and let it clean up."""
    task = asyncio.ensure_future(work)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise


def _say(*lines: object, code: int) -> int:
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - the answer to whoever started it
    return code
