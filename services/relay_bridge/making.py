"""From a line of the station file to a relay at work: its driver, its password, where it is, and whether it tells changes."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from services.bus.client import Bus
from services.bus.runtime import Context
from services.bus.secrets import NoSecret, read_secret
from services.core.config.hardware import RelayDevice
from services.core.config.load import ConfigError, Problem
from services.core.positions import Position
from services.relay_bridge import registry
from services.relay_bridge.announce import Announcer
from services.relay_bridge.driver import RelayDriver
from services.relay_bridge.holds import Rules
from services.relay_bridge.located import Located, Ways
from services.relay_bridge.mdns import lookup_near
from services.relay_bridge.relay import Relay
from services.relay_bridge.verify import is_proved, load_proofs

ListenTo = Callable[[Callable[[], RelayDevice], Callable[[], None]], Awaitable[None]]


def driver_of(name: str, device: RelayDevice, context: Context) -> RelayDriver:
    """The driver for the device at `name`, without a memory of where it was. Raises ConfigError."""
    try:
        return registry.connect(device, context.clock.monotonic, _password(device, context))
    except (NoSecret, ValueError) as error:
        raise _wrong(name, error) from None


class Maker:
    """Makes the relay at one position. Raises ConfigError, already when created, for what the station file says of it."""

    def __init__(self, name: str, device: RelayDevice, context: Context, bus: Bus) -> None:
        self._name = name
        self._device = device
        self._context = context
        self._bus = bus
        self._relay: Relay | None = None
        try:
            password = _password(device, context)
            self._driver = self._connect(password)
            self.listen: ListenTo | None = self._listen_to(password) if device.push else None
        except (NoSecret, ValueError) as error:
            raise _wrong(name, error) from None

    def relay(self, rules: Rules, announcer: Announcer) -> Relay:
        """The relay; one that yields is a deferrable load's. Inside the running loop."""
        self._loop = asyncio.get_running_loop()
        clock, jitter = self._context.clock, self._context.random
        self._relay = relay = Relay(
            self._name,
            self._device,
            self._driver,
            rules,
            clock=clock,
            jitter=jitter,
            complain=self._complain,
            changed=announcer.announce,
            # A load that stays off harms nobody, so no proof is asked for it.
            deadman_proved=None if rules.yields else self._deadman_proved(rules),
            load=rules.yields,
        )
        return relay

    def _deadman_proved(self, rules: Rules) -> bool | None:
        if rules.device_timer_s is None:
            return None
        return is_proved(load_proofs(self._context.state_dir("relay_bridge")), self._name, self._device, safe_on=rules.safe)

    def _connect(self, password: str | None) -> RelayDriver:
        monotonic = self._context.clock.monotonic
        identify = registry.identify_for(self._device)
        if identify is None:
            return registry.connect(self._device, monotonic, password)
        ways = Ways(
            connect=lambda device: registry.connect(device, monotonic, password),
            identify=identify,
            lookup=partial(lookup_near, self._device.address),
            monotonic=monotonic,
            moved=self._moved,
        )
        return Located(self._device, ways, self._context.state_dir("relay_bridge") / f"device-{self._name}.json")

    def _listen_to(self, password: str | None) -> ListenTo:
        listen = registry.listen_for(self._device)
        return lambda device, changed: listen(device, password, changed)

    def _moved(self, address: str) -> None:
        """Called from whatever thread; before there is a relay, from its constructor."""
        self._device = self._device.model_copy(update={"address": address})
        if self._relay is not None:
            self._relay.device = self._device
            message, remedy = "has moved there", "give it a fixed address in your router, and write it into the station file"
            self._loop.call_soon_threadsafe(self._complain, message, remedy, "address", address)

    def _complain(self, message: str, remedy: str, field: str | None, value: str | None) -> None:
        self._bus.report(
            f"{self._name} ({self._device.address}): {message}", field=field and f"{self._name}.{field}", value=value, remedy=remedy
        )


def _password(device: RelayDevice, context: Context) -> str | None:
    return read_secret(device.secret, context.var) if device.secret is not None else None


def _wrong(name: str, error: Exception) -> ConfigError:
    section = "positions" if name in set(Position) else "loads"
    return ConfigError([Problem(None, f"{section}.{name}", "", str(error))])
