"""Every topic of the bus, in one place: its name, model, quality of service, and who publishes it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from services.bus.messages.base import Payload
from services.bus.messages.devices import (
    BatteryEstimate,
    BatteryLink,
    BatteryReadingMessage,
    LoadShift,
    PositionReading,
    RelayCommand,
    RelayStateMessage,
)
from services.bus.messages.events import EventBaseline, EventCommand, EventMessage, EventPerformance
from services.bus.messages.state import (
    ClockMessage,
    Committed,
    ControllerState,
    Override,
    PreferencesMessage,
    ServiceError,
    ServiceStatus,
    ServiceVitals,
)

M = TypeVar("M", bound=Payload, covariant=True)  # noqa: PLC0105 - one letter reads best at `Channel[M]`


@dataclass(frozen=True, slots=True)
class Channel(Generic[M]):
    """One kind of topic under `sps/<station>/`. `{name}` in the pattern stands for one level."""

    pattern: str
    model: type[M]
    qos: int
    retain: bool
    publisher: str
    """Who may publish it: services, `operator` for people, `each service` for its own; several are separated by ", ".
    `services/bus/access.py` makes the broker's rules of it."""
    summary: str
    command: bool = False
    """A command: retained copies are dropped, and identical bytes within 60 s count once."""

    @property
    def publishers(self) -> tuple[str, ...]:
        """The same, one by one."""
        return tuple(self.publisher.split(", "))


OPERATOR = "operator"
"""People, and the tools that they start."""
EACH_SERVICE = "each service"
BRIDGES = "relay_bridge, bluetti_bridge, ina260_reader"
HOME_ASSISTANT_MODE = "home_assistant/mode/set"
"""Under `sps/<station>/`: where Home Assistant publishes a mode, as plain text. The only topic of ours that carries no JSON."""

POSITION_READING = Channel("position/{position}/reading", PositionReading, 0, False, BRIDGES, "Power at P1 to P4.")
BATTERY_READING = Channel("battery/reading", BatteryReadingMessage, 0, False, "bluetti_bridge", "The power station's own reading.")
BATTERY_LINK = Channel("battery/link", BatteryLink, 1, True, "bluetti_bridge", "Whether the power station answers, and why not.")
BATTERY_ESTIMATE = Channel("battery/estimate", BatteryEstimate, 0, False, "controller", "The observer's state of charge.")
RELAY_COMMAND = Channel(
    "relay/{position}/command", RelayCommand, 0, False, "controller", "An absolute wish, renewed every 10 s.", command=True
)
RELAY_STATE = Channel("relay/{position}/state", RelayStateMessage, 1, True, "relay_bridge, bluetti_bridge", "A relay after read-back.")
LOAD_READING = Channel("load/{load}/reading", PositionReading, 0, False, "relay_bridge", "Power of a deferrable load.")
LOAD_COMMAND = Channel(
    "load/{load}/command", RelayCommand, 0, False, "controller", "An absolute wish for a deferrable load, renewed every 10 s.", command=True
)
LOAD_SHIFT = Channel("load/{load}/shift", LoadShift, 1, True, "controller", "What an event does with a deferrable load, and its energy.")
LOAD_STATE = Channel("load/{load}/state", RelayStateMessage, 1, True, "relay_bridge", "A deferrable load's relay after read-back.")
EVENT_COMMAND = Channel(
    "event/command", EventCommand, 1, False, "operator, gateway", "Schedule, cancel, opt out, opt in, accept, decline.", command=True
)
EVENT = Channel(
    "event/{event_id}", EventMessage, 1, True, "controller", "A normalised event and its status; its appearance is the acceptance."
)
EVENT_BASELINE = Channel("event/{event_id}/baseline", EventBaseline, 1, True, "recorder", "The baseline per settlement interval.")
EVENT_PERFORMANCE = Channel("event/{event_id}/performance", EventPerformance, 1, True, "recorder", "What each interval came to.")
CONTROLLER_STATE = Channel("controller/state", ControllerState, 1, True, "controller", "Phase, mode and reason.")
OVERRIDE = Channel(
    "controller/override", Override, 1, False, "operator, gateway, home_assistant", "A manual mode with an end.", command=True
)
COMMITTED = Channel("recorder/committed", Committed, 0, False, "recorder", "Up to when readings are on disk.")
PREFERENCES = Channel("preferences", PreferencesMessage, 1, True, "gateway", "What the person chose.")
CLOCK = Channel("clock", ClockMessage, 1, True, "simulator", "How station time runs in a simulation.")
SERVICE_STATUS = Channel("service/{service}/status", ServiceStatus, 1, True, "each service", "Online or offline, and health.")
SERVICE_VITALS = Channel("service/{service}/vitals", ServiceVitals, 0, False, "each service", "Its memory, once a minute.")
SERVICE_ERROR = Channel("service/{service}/error", ServiceError, 0, False, "each service", "What was refused, and the remedy.")

CHANNELS: tuple[Channel[Payload], ...] = (
    POSITION_READING, BATTERY_READING, BATTERY_LINK, BATTERY_ESTIMATE, RELAY_COMMAND, RELAY_STATE, EVENT_COMMAND, EVENT, EVENT_BASELINE,
    LOAD_READING, LOAD_COMMAND, LOAD_STATE, LOAD_SHIFT,
    EVENT_PERFORMANCE, CONTROLLER_STATE, OVERRIDE, COMMITTED, PREFERENCES, CLOCK, SERVICE_STATUS, SERVICE_ERROR,
    SERVICE_VITALS,
)  # fmt: skip
