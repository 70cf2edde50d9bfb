"""The latest of everything heard on the bus, each with the time it came: the raw material of a snapshot.

What cannot be is not taken: a reading older than the one before it, a power that no such meter can carry, a report that has frozen.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from services.bus.client import Received
from services.bus.messages.devices import BatteryLink, BatteryReadingMessage, PositionReading, RelayStateMessage
from services.bus.messages.events import EventBaseline
from services.controller.frozen import Watched, watch
from services.controller.model import BaselineSpan, ManualMode, Snapshot
from services.core.battery import Battery
from services.core.events import Event
from services.core.loads import LoadSeen
from services.core.positions import Position
from services.core.preferences import Preferences
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState

MOST_W = 50_000.0
"""No meter here carries more: a power beyond it is a jump of the meter, and unknown."""
REORDERED_S = 5.0
"""Real seconds for which a reading older than the last is taken for a late one; after that the clock was set back."""


class Latest:
    """Folds messages; asked for a snapshot once a cycle."""

    def __init__(self, told_by_station: Collection[str] = ()) -> None:
        """`told_by_station`: the positions that the power station measures, which freeze with it."""
        self._told_by_station = told_by_station
        self._order: dict[str, tuple[datetime, float]] = {}
        self._load_power: dict[str, tuple[float | None, float]] = {}
        self._load_states: dict[str, RelayStateMessage] = {}
        self._watched: Watched | None = None
        self._watched_at: datetime | None = None
        self._power: dict[str, tuple[PowerReading, float]] = {}
        self._relays: dict[str, RelayState] = {}
        self._battery: tuple[BatteryReading, float] | None = None
        self._silent = False
        self._baselines: dict[str, tuple[BaselineSpan, ...]] = {}

    def position(self, received: Received[PositionReading]) -> None:
        """Take a position's reading."""
        message = received.message
        if self._late(received):
            return
        reading = PowerReading(power_w=_possible(message.power_w), voltage_v=message.voltage_v, energy_wh=message.energy_wh)
        self._power[received.params["position"]] = (reading, received.received_at)

    def relay(self, received: Received[RelayStateMessage]) -> None:
        """Take a relay's state."""
        message = received.message
        self._relays[received.params["position"]] = RelayState(message.on, message.fault, message.timer_fired, message.deadman_proved)

    def battery(self, received: Received[BatteryReadingMessage]) -> None:
        """Take the power station's reading."""
        message = received.message
        if self._late(received):
            return
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

    def load_reading(self, received: Received[PositionReading]) -> None:
        """Take a deferrable load's reading."""
        if not self._late(received):
            self._load_power[received.params["load"]] = (_possible(received.message.power_w), received.received_at)

    def load_state(self, received: Received[RelayStateMessage]) -> None:
        """Take the state of a deferrable load's relay."""
        self._load_states[received.params["load"]] = received.message

    def loads(self, monotonic_s: float, stale_after_s: float) -> dict[str, LoadSeen]:
        """The deferrable loads that answer; a state is as fresh as the readings beside it."""
        return {
            name: LoadSeen(state.on, power_w, by_hand=state.by_hand, timer_fired=state.timer_fired)
            for name, (power_w, at) in self._load_power.items()
            if monotonic_s - at <= stale_after_s and (state := self._load_states.get(name)) is not None
        }

    def _late(self, received: Received[PositionReading] | Received[BatteryReadingMessage]) -> bool:
        """Whether a message is older than the one before it on its topic."""
        before, ts = self._order.get(received.topic), received.message.ts
        if before is not None and ts < before[0] and received.received_at - before[1] <= REORDERED_S:
            return True
        self._order[received.topic] = (ts, received.received_at)
        return False

    def suspect(self, now: datetime, monotonic_s: float, poll_s: float, battery: Battery) -> str | None:
        """Once a cycle: whether the power station's report has frozen, and what is the sign of it (see `frozen`)."""
        if self._battery is None:
            return None
        powers = {name: reading.power_w or 0.0 for name, (reading, _) in self._power.items()}
        p3_w = powers.get("p3", 0.0)
        drain_w = p3_w / battery.discharge_efficiency + battery.idle_w
        station_s = 0.0 if self._watched_at is None else min(max(0.0, (now - self._watched_at).total_seconds()), 300.0)
        self._watched_at = now
        self._watched = watch(
            self._watched,
            self._battery[0],
            p1_on=self._relays[Position.P1].on if Position.P1 in self._relays else None,
            p2_on=self._relays[Position.P2].on if Position.P2 in self._relays else None,
            load_w=powers.get("p1", 0.0) + p3_w,
            net_w=(powers.get("p2", 0.0) + powers.get("p4", 0.0)) * battery.charge_efficiency - drain_w,
            monotonic_s=monotonic_s,
            station_s=station_s,
            poll_s=poll_s,
            battery=battery,
        )
        if self._watched.dead:
            return "nothing in it has moved since the relays were switched"
        return "its state of charge stands still though the meters saw energy flow" if self._watched.soc_stuck else None

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
            battery=self._report(monotonic_s),
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
        if self._watched is not None and self._watched.dead and position in self._told_by_station:
            return None
        return Observed(known[0], monotonic_s - known[1]) if known is not None else None

    def _relay(self, position: Position, monotonic_s: float) -> Observed[RelayState] | None:
        """A relay's state is as fresh as its position's readings: they come from one poll of one device.

        The state itself is retained and published on change only, so its own age says nothing.
        """
        state, reading = self._relays.get(position), self._power.get(position)
        return Observed(state, monotonic_s - reading[1]) if state is not None and reading is not None else None

    def _report(self, monotonic_s: float) -> Observed[BatteryReading] | None:
        if self._battery is None or (self._watched is not None and self._watched.dead):
            return None
        reading, at = self._battery
        if self._watched is not None and self._watched.soc_stuck:
            reading = replace(reading, soc_pct=None)
        return Observed(reading, monotonic_s - at)


def _possible(power_w: float | None) -> float | None:
    return power_w if power_w is not None and abs(power_w) <= MOST_W else None
