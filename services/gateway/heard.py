"""The last message of each kind that the bus brought. Hearing one costs no more than a dictionary entry."""

from collections import deque
from collections.abc import Mapping

from services.bus import contract
from services.bus.client import Bus, Received
from services.bus.messages.devices import BatteryEstimate, BatteryLink, BatteryReadingMessage, PositionReading, RelayStateMessage
from services.bus.messages.events import EventMessage, EventPerformance
from services.bus.messages.state import ClockMessage, ControllerState, ServiceError, ServiceStatus

NOTICES = 8
"""As many of the services' latest errors are kept as a page can show."""


class Heard:
    """What has been heard; `view.py` makes the state of it."""

    def __init__(self) -> None:
        self.positions: dict[str, Received[PositionReading]] = {}
        self.relays: dict[str, RelayStateMessage] = {}
        self.battery: Received[BatteryReadingMessage] | None = None
        self.estimate: Received[BatteryEstimate] | None = None
        self.battery_link: BatteryLink | None = None
        self.loads: dict[str, Received[PositionReading]] = {}
        self.load_relays: dict[str, RelayStateMessage] = {}
        self.controller: ControllerState | None = None
        self.services: dict[str, ServiceStatus] = {}
        self.notices: deque[tuple[str, ServiceError]] = deque(maxlen=NOTICES)
        self.events: dict[str, EventMessage] = {}
        self.performances: dict[str, EventPerformance] = {}
        self.state_version = 0
        """Grows with everything that may change the state."""
        self.events_version = 0
        """Grows with everything that may change the events."""

    def listen(self, bus: Bus) -> None:
        """Subscribe to all that the view is made of."""
        bus.subscribe(contract.POSITION_READING, self.on_position)
        bus.subscribe(contract.RELAY_STATE, self.on_relay, cleared=self.forget_relay)
        bus.subscribe(contract.BATTERY_READING, self.on_battery)
        bus.subscribe(contract.BATTERY_ESTIMATE, self.on_estimate)
        bus.subscribe(contract.BATTERY_LINK, self.on_battery_link)
        bus.subscribe(contract.LOAD_READING, self.on_load)
        bus.subscribe(contract.LOAD_STATE, self.on_load_relay)
        bus.subscribe(contract.CONTROLLER_STATE, self.on_controller, cleared=self.forget_controller)
        bus.subscribe(contract.SERVICE_STATUS, self.on_service, cleared=self.forget_service)
        bus.subscribe(contract.SERVICE_ERROR, self.on_error)
        bus.subscribe(contract.CLOCK, self.on_clock)
        bus.subscribe(contract.EVENT, self.on_event, cleared=self.forget_event)
        bus.subscribe(contract.EVENT_PERFORMANCE, self.on_performance, cleared=self.forget_performance)

    def on_position(self, received: Received[PositionReading]) -> None:
        """Keep a position's reading."""
        self.positions[received.params["position"]] = received
        self.state_version += 1

    def on_battery(self, received: Received[BatteryReadingMessage]) -> None:
        """Keep the power station's reading."""
        self.battery = received
        self.state_version += 1

    def on_estimate(self, received: Received[BatteryEstimate]) -> None:
        """Keep the controller's estimate."""
        self.estimate = received
        self.state_version += 1

    def on_battery_link(self, received: Received[BatteryLink]) -> None:
        """Keep whether the power station answers. The state does not show it."""
        self.battery_link = received.message

    def on_load(self, received: Received[PositionReading]) -> None:
        """Keep a deferrable load's reading. The state does not show it."""
        self.loads[received.params["load"]] = received

    def on_load_relay(self, received: Received[RelayStateMessage]) -> None:
        """Keep the state of a deferrable load's relay. The state does not show it."""
        self.load_relays[received.params["load"]] = received.message

    def on_relay(self, received: Received[RelayStateMessage]) -> None:
        """Keep a relay's state."""
        self.relays[received.params["position"]] = received.message
        self.state_version += 1

    def forget_relay(self, params: Mapping[str, str]) -> None:
        """A relay's state was withdrawn."""
        self.relays.pop(params["position"], None)
        self.state_version += 1

    def on_controller(self, received: Received[ControllerState]) -> None:
        """Keep the controller's state."""
        self.controller = received.message
        self.state_version += 1

    def forget_controller(self, _params: Mapping[str, str]) -> None:
        """The controller's state was withdrawn."""
        self.controller = None
        self.state_version += 1

    def on_service(self, received: Received[ServiceStatus]) -> None:
        """Keep a service's status."""
        self.services[received.params["service"]] = received.message
        self.state_version += 1

    def forget_service(self, params: Mapping[str, str]) -> None:
        """A service's status was withdrawn."""
        self.services.pop(params["service"], None)
        self.state_version += 1

    def on_error(self, received: Received[ServiceError]) -> None:
        """Keep an error for the page."""
        self.notices.appendleft((received.params["service"], received.message))
        self.state_version += 1

    def on_clock(self, _received: Received[ClockMessage]) -> None:
        """Station time runs differently from now on; the clock itself keeps how."""
        self.state_version += 1

    def on_event(self, received: Received[EventMessage]) -> None:
        """Keep an event under the id of its topic."""
        self.events[received.params["event_id"]] = received.message
        self.events_version += 1

    def forget_event(self, params: Mapping[str, str]) -> None:
        """An event was archived."""
        self.events.pop(params["event_id"], None)
        self.events_version += 1

    def on_performance(self, received: Received[EventPerformance]) -> None:
        """Keep what an event came to."""
        self.performances[received.params["event_id"]] = received.message
        self.events_version += 1

    def forget_performance(self, params: Mapping[str, str]) -> None:
        """An event's figures were archived."""
        self.performances.pop(params["event_id"], None)
        self.events_version += 1
