"""The simulator as a service: makes station time and keeps the house over restarts."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from services.bus.client import Bus
from services.bus.clock import utc_now
from services.bus.contract import CLOCK
from services.bus.messages.state import ClockMessage
from services.bus.runtime import Context
from services.bus.secrets import NoSecret, read_secret
from services.simulator.lease import Lease
from services.simulator.place import NotSimulatable, Place
from services.simulator.rig import Rig
from services.simulator.state import BadState, Saved, load, save

log = logging.getLogger(__name__)

_TICK_S = 0.2
_PUBLISH_EVERY_S = 10.0
_SAVE_EVERY_S = 5.0
_HANGS_AFTER_S = 30.0


async def run(context: Context, *, speed: float | None = None, lease_s: float | None = None) -> None:
    """Simulate the house, at `speed` or the configured one, until cancelled or until the lease runs out.

    Raises NotSimulatable, PortTaken or, when the last save fails, OSError.
    """
    state_dir = context.state_dir("simulator")
    lease = Lease(lease_s)
    speed = speed or context.station.simulation.speed
    rig = Rig(
        context.station,
        speed=speed,
        lease=lease,
        saved=_saved(state_dir),
        passwords=_passwords(context),
        place=Place(context.deployment.simulator_host),
    )
    # One thread, so that the last save waits for one that is under way; a thread at all, because a disk may take its time.
    with ThreadPoolExecutor(max_workers=1) as writer:
        async with rig, replace(context, clock=rig.clock).bus("simulator") as bus:
            try:
                await _live(context, rig, bus, lease, state_dir, writer)
            finally:
                writer.submit(save, state_dir, rig.saved()).result()


def _passwords(context: Context) -> dict[str, str]:
    """What the devices are to ask for: the same secrets that the relay bridge answers with. Raises NotSimulatable."""
    try:
        relays = [*context.station.positions.relays().items(), *context.station.loads.items()]
        return {position: read_secret(device.secret, context.var) for position, device in relays if device.secret is not None}
    except NoSecret as error:
        raise NotSimulatable(str(error)) from None


async def _live(context: Context, rig: Rig, bus: Bus, lease: Lease, state_dir: Path, writer: ThreadPoolExecutor) -> None:
    clock = rig.clock
    connected = False
    publish_at = save_at = clock.monotonic()
    while not lease.over:
        context.came_round("house", _HANGS_AFTER_S)
        rig.house.advance()
        # At once on each reconnect, because a broker without persistence has forgotten the time.
        if bus.connected and (not connected or clock.monotonic() >= publish_at):
            _publish_clock(rig, bus)
            publish_at = clock.monotonic() + _PUBLISH_EVERY_S
        connected = bus.connected
        if clock.monotonic() >= save_at:
            await _save(rig, bus, state_dir, writer)
            save_at = clock.monotonic() + _SAVE_EVERY_S
        await clock.sleep(_TICK_S)
    log.info("nobody renewed the lease; good night")


def _publish_clock(rig: Rig, bus: Bus) -> None:
    rate = rig.clock.rate()
    bus.publish(CLOCK, ClockMessage(ts=rig.clock.now(), epoch_wall=rate.epoch_wall, epoch_station=rate.epoch_station, speed=rate.speed))


async def _save(rig: Rig, bus: Bus, state_dir: Path, writer: ThreadPoolExecutor) -> None:
    try:
        await asyncio.get_running_loop().run_in_executor(writer, save, state_dir, rig.saved())
        bus.health(None)
    except OSError as error:
        bus.health(f"cannot save the house to {state_dir}: {error.strerror}")


def _saved(state_dir: Path) -> Saved | None:
    try:
        return load(state_dir)
    except BadState as error:
        aside = state_dir / f"state.{utc_now():%Y%m%dT%H%M%S}.bad"
        (state_dir / "state.json").rename(aside)
        log.error("%s; starting with a new house, the file is kept as %s", error, aside.name)  # noqa: TRY400 - the trace would say nothing
        return None
