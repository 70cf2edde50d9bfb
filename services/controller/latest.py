"""The latest of everything heard on the bus, each with the time it came: the raw material of a snapshot."""

from collections.abc import Mapping

from services.bus.client import Received
from services.bus.messages.devices import BatteryLink, BatteryReadingMessage, PositionReading, RelayStateMessage
from services.bus.messages.events import EventBaseline
from services.controller.model import BaselineSpan, ManualMode, Snapshot
from services.core.events import Event
from services.core.positions import Position
from services.core.preferences import Preferences
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState


class Latest:
    """Folds messages; asked for a snapshot once a cycle."""

    def __init__(self) -> None:
        self._power: dict[str, tuple[PowerReading, float]] = {}
        self._relays: dict[str, RelayState] = {}
        self._battery: tuple[BatteryReading, float] | None = None
        self._silent = False
        self._baselines: dict[str, tuple[BaselineSpan, ...]] = {}

    def position(self, received: Received[PositionReading]) -> None:
        """Take a position's reading."""
        message = received.message
        reading = PowerReading(power_w=message.power_w, voltage_v=message.voltage_v, energy_wh=message.energy_wh)
        self._power[received.params["position"]] = (reading, received.received_at)

    def relay(self, received: Received[RelayStateMessage]) -> None:
        """Take a relay's state."""
        message = received.message
        self._relays[received.params["position"]] = RelayState(message.on, message.fault, message.timer_fired, message.deadman_proved)

    def battery(self, received: Received[BatteryReadingMessage]) -> None:
        """Take the power station's reading."""
        message = received.message
        reading = BatteryReading(
            soc_pct=message.soc_pct,
            ac_in_w=message.ac_in_w,
            ac_out_w=message.ac_out_w,
            dc_in_w=message.dc_in_w,
            dc_out_w=message.dc_out_w,
            ac_output_on=message.ac_output_on,
            eco_mode=message.eco_mode,
        )
        self._battery = (reading, received.received_at)

    def link(self, received: Received[BatteryLink]) -> None:
        """Take what the bridge says of the way to the power station."""
        self._silent = received.message.silent

    def baseline(self, received: Received[EventBaseline]) -> None:
        """Take an event's baseline; intervals of unknown import are left out."""
        self._baselines[received.message.event_id] = tuple(
            BaselineSpan(i.start, i.end, i.import_wh * 3600.0 / seconds)
            for i in received.message.intervals
            if i.import_wh is not None and (seconds := (i.end - i.start).total_seconds()) > 0.0
        )

    def forget_baseline(self, params: Mapping[str, str]) -> None:
        """An event's baseline was taken off the bus."""
        self._baselines.pop(params["event_id"], None)

    def heard(self, positions: frozenset[str], *, battery: bool) -> bool:
        """Whether all of `positions` have been heard, and with `battery` the power station, too."""
        return (self._battery is not None or not battery) and positions <= self._power.keys()

    def snapshot(self, monotonic_s: float, preferences: Preferences, event: Event | None, override: ManualMode | None) -> Snapshot:
        """What is known now."""
        return Snapshot(
            monotonic_s=monotonic_s,
            preferences=preferences,
            p1=self._observed(Position.P1, monotonic_s),
            p2=self._observed(Position.P2, monotonic_s),
            p3=self._observed(Position.P3, monotonic_s),
            p4=self._observed(Position.P4, monotonic_s),
            battery=Observed(self._battery[0], monotonic_s - self._battery[1]) if self._battery else None,
            p1_relay=self._relay(Position.P1, monotonic_s),
            p2_relay=self._relay(Position.P2, monotonic_s),
            p3_relay=self._relay(Position.P3, monotonic_s),
            event=event,
            baseline=self._baselines.get(event.id, ()) if event is not None else (),
            override=override,
            silent=self._silent,
        )

    def _observed(self, position: Position, monotonic_s: float) -> Observed[PowerReading] | None:
        known = self._power.get(position)
        return Observed(known[0], monotonic_s - known[1]) if known is not None else None

    def _relay(self, position: Position, monotonic_s: float) -> Observed[RelayState] | None:
        """A relay's state is as fresh as its position's readings: they come from one poll of one device.

        The state itself is retained and published on change only, so its own age says nothing.
        """
        state, reading = self._relays.get(position), self._power.get(position)
        return Observed(state, monotonic_s - reading[1]) if state is not None and reading is not None else None
