"""The relay bridge: commands from the bus to the relays, states and readings back."""

import asyncio
import contextlib
import logging

from services.bus.client import Bus, Received
from services.bus.contract import RELAY_COMMAND
from services.bus.messages.devices import RelayCommand
from services.bus.runtime import Context
from services.core.config.hardware import RelayDevice
from services.core.config.load import ConfigError, Problem
from services.core.positions import SAFE_RELAY_STATE, Position
from services.relay_bridge.announce import Announcer
from services.relay_bridge.holds import DEVICE_TIMER_S, Rules
from services.relay_bridge.polling import Polling
from services.relay_bridge.registry import connect
from services.relay_bridge.relay import Relay

LET_GO_S = 2.0
"""How long stopping may take to bring the relays into their safe state; beyond it the devices' own timers do."""

log = logging.getLogger(__name__)


async def run(context: Context, *, device_timer_s: float = DEVICE_TIMER_S) -> None:
    """Serve every relay of the station until cancelled. Raises ConfigError for an unknown driver or an unusable address."""
    bus = context.bus("relay_bridge")
    announcer = Announcer(bus, context.clock)
    relays = {
        name: _relay(name, device, device_timer_s, context, bus, announcer) for name, device in context.station.positions.relays().items()
    }

    def command(received: Received[RelayCommand]) -> None:
        position = received.params["position"]
        if (relay := relays.get(position)) is None:
            remedy = f"use one of {', '.join(relays)}, or configure a relay there"
            bus.report(f"no relay is configured at {position}", topic=received.topic, field="position", value=position, remedy=remedy)
        else:
            relay.command(received.message, received.received_at)

    bus.subscribe(RELAY_COMMAND, command)
    try:
        async with bus:
            try:
                async with asyncio.TaskGroup() as group:
                    for relay in relays.values():
                        group.create_task(_keep(relay), name=f"{relay.position}: keeper")
                    group.create_task(Polling(list(relays.values()), bus, context.clock).run(), name="relay_bridge: polling")
            finally:
                # Stopped on purpose, nobody renews any more: better now than when the devices' timers run out.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LET_GO_S):
                        await asyncio.gather(*(relay.let_go() for relay in relays.values()))
    finally:
        for relay in relays.values():
            relay.close()


async def _keep(relay: Relay) -> None:
    while True:
        try:
            await relay.keep()
        except Exception:
            # The dead-man must outlive a fault of this software; the pause keeps it from filling the log.
            log.exception("%s: its keeper failed and starts again", relay.position)
            await asyncio.sleep(1.0)


def _relay(name: str, device: RelayDevice, device_timer_s: float, context: Context, bus: Bus, announcer: Announcer) -> Relay:
    def complain(message: str, remedy: str, field: str | None, value: str | None) -> None:
        bus.report(f"{name} ({device.address}): {message}", field=field and f"{name}.{field}", value=value, remedy=remedy)

    try:
        driver = connect(device, context.clock.monotonic)
    except ValueError as error:
        raise ConfigError([Problem(None, f"positions.{name}", "", str(error))]) from None
    rules = Rules(SAFE_RELAY_STATE[Position(name)], device_timer_s)
    return Relay(name, device, driver, rules, clock=context.clock, jitter=context.random, complain=complain, changed=announcer.announce)
