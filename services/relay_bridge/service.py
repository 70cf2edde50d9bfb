"""The relay bridge: commands from the bus to the relays, states and readings back."""

import asyncio
import contextlib
import logging
from functools import partial

from services.bus.client import Received
from services.bus.contract import LOAD_COMMAND, RELAY_COMMAND
from services.bus.messages.devices import RelayCommand
from services.bus.runtime import Context
from services.core.config.hardware import RelayDevice
from services.core.config.loads import DeferrableLoad
from services.core.modes import Switchboard
from services.core.positions import Position
from services.relay_bridge.announce import Announcer
from services.relay_bridge.holds import DEVICE_TIMER_S, Rules
from services.relay_bridge.making import ListenTo, Maker
from services.relay_bridge.polling import Polling
from services.relay_bridge.relay import Relay

LET_GO_S = 2.0
"""How long stopping may take to bring the relays into their safe state; beyond it the devices' own timers do."""

log = logging.getLogger(__name__)


async def run(context: Context, *, device_timer_s: float = DEVICE_TIMER_S) -> None:
    """Serve every relay of the station, those of the deferrable loads too, until cancelled.

    Raises ConfigError for an unknown driver, address or secret.
    """
    bus = context.bus("relay_bridge")
    announcer = Announcer(bus, context.clock)
    devices: dict[str, RelayDevice] = {**context.station.positions.relays(), **context.station.loads}
    makers = {name: Maker(name, device, context, bus) for name, device in devices.items()}
    relays = {
        name: makers[name].relay(_rules(name, device, context.station.board, device_timer_s), announcer) for name, device in devices.items()
    }
    listeners = [(relays[name], listen) for name, maker in makers.items() if (listen := maker.listen) is not None]

    def command(received: Received[RelayCommand]) -> None:
        ((kind, name),) = received.params.items()
        if kind == "position" and name == "p3" and context.station.positions.output_switched:
            return  # the Bluetti bridge's
        relay = relays.get(name)
        if relay is None or relay.load != (kind == "load"):
            known = ", ".join(known for known, relay in relays.items() if relay.load == (kind == "load"))
            remedy = f"use one of {known}, or configure a relay there" if known else "configure a relay there"
            bus.report(f"no relay is configured at {name}", topic=received.topic, field=kind, value=name, remedy=remedy)
        else:
            relay.command(received.message, received.received_at)

    bus.subscribe(RELAY_COMMAND, command)
    bus.subscribe(LOAD_COMMAND, command)
    try:
        async with bus:
            try:
                async with asyncio.TaskGroup() as group:
                    for relay in relays.values():
                        group.create_task(_keep(relay), name=f"{relay.position}: keeper")
                    polling = Polling(list(relays.values()), bus, context.clock)
                    group.create_task(polling.run(), name="relay_bridge: polling")
                    for relay, listen in listeners:
                        group.create_task(_listen(relay, listen, polling), name=f"{relay.position}: listening")
            finally:
                # Stopped on purpose, nobody renews any more: better now than when the devices' timers run out.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LET_GO_S):
                        await asyncio.gather(*(relay.let_go() for relay in relays.values()))
    finally:
        for relay in relays.values():
            relay.close()


def _rules(name: str, device: RelayDevice, board: Switchboard, device_timer_s: float) -> Rules:
    if isinstance(device, DeferrableLoad):
        return Rules(safe=True, device_timer_s=device_timer_s if device.deadman == "device" else None, yields=True)
    return Rules(board.safe(Position(name)), device_timer_s if device.deadman == "device" else None)


async def _keep(relay: Relay) -> None:
    while True:
        try:
            await relay.keep()
        except Exception:
            # The dead-man must outlive a fault of this software; the pause keeps it from filling the log.
            log.exception("%s: its keeper failed and starts again", relay.position)
            await asyncio.sleep(1.0)


async def _listen(relay: Relay, listen: ListenTo, polling: Polling) -> None:
    while True:
        try:
            await listen(lambda: relay.device, partial(polling.hurry, relay))
        except Exception:
            # Polls go on, so that nothing is lost but speed.
            log.exception("%s: listening failed and starts again", relay.position)
            await asyncio.sleep(10.0)
