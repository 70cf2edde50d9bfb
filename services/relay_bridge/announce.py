"""What the bridge publishes about its relays."""

from dataclasses import dataclass
from typing import Literal

from services.bus.client import Bus
from services.bus.clock import Clock
from services.bus.contract import LOAD_STATE, RELAY_STATE
from services.bus.messages.devices import RelayStateMessage
from services.relay_bridge import holds
from services.relay_bridge.holds import WELDED_W
from services.relay_bridge.relay import Relay
from services.relay_bridge.status import Status

REPEAT_S = 60.0
"""Real seconds after which an unchanged state is published again."""


@dataclass(frozen=True, slots=True)
class _Published:
    facts: tuple[object, ...]
    at: float


class Announcer:
    """Publishes relay states when they change, and the bridge's health."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._published: dict[str, _Published] = {}
        self._faults: dict[str, str] = {}

    def announce(self, relay: Relay) -> None:
        """Publish the state of `relay` if it is news; nothing while station time is unknown."""
        status = relay.memory.seen.status if relay.memory.seen else None
        fault = relay.fault
        self._tell_health(relay.position, fault)
        on = status.on if status else None
        fired = holds.timer_fired(relay.memory)
        by_hand = holds.by_hand(relay.memory)
        facts = (
            on,
            _confirmed_by(status),
            _command_id(relay, on),
            fault,
            fired,
            by_hand,
            status is not None and status.timer_s is not None,
        )
        now = self._clock.monotonic()
        last = self._published.get(relay.position)
        if not self._clock.known or (last is not None and last.facts == facts and now - last.at < REPEAT_S):
            return
        self._published[relay.position] = _Published(facts, now)
        state = RelayStateMessage(
            ts=self._clock.now(),
            on=on,
            confirmed_by=_confirmed_by(status),
            command_id=_command_id(relay, on),
            timer_s=status.timer_s if status else None,
            timer_fired=fired,
            deadman_proved=relay.deadman_proved,
            by_hand=by_hand,
            fault=fault,
        )
        if relay.load:
            self._bus.publish(LOAD_STATE, state, load=relay.position)
        else:
            self._bus.publish(RELAY_STATE, state, position=relay.position)

    def _tell_health(self, position: str, fault: str | None) -> None:
        if fault is None:
            self._faults.pop(position, None)
        else:
            self._faults[position] = fault
        self._bus.health("; ".join(f"{name}: {text}" for name, text in sorted(self._faults.items())) or None)


def _confirmed_by(status: Status | None) -> Literal["readback", "power"] | None:
    if status is None:
        return None
    off_by_power = not status.on and status.power_w is not None and abs(status.power_w) <= WELDED_W
    return "power" if off_by_power else "readback"


def _command_id(relay: Relay, on: bool | None) -> str | None:
    """The wish that the device's state carries out, if one does."""
    carried = relay.memory.carried
    return carried.order.wish.command_id if carried and carried.order.wish and carried.order.on == on else None
