"""What is known now of the things that people are told about. Unknown is None."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.bus.messages.devices import BatteryLink
from services.bus.messages.events import EventMessage, EventPerformance
from services.core.config.station import Station
from services.core.preferences import Preferences
from services.gateway import view
from services.gateway.heard import Heard

METER_SILENT_S = 120.0
"""Real seconds without a reading after which a meter of its own counts as lost."""


@dataclass(frozen=True, slots=True)
class Device:
    """One thing that may be lost."""

    key: str
    name: str
    """As a sentence begins."""
    lost: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a decision on notifications looks at."""

    now: datetime
    """Station time."""
    events: Mapping[str, EventMessage]
    performances: Mapping[str, EventPerformance]
    devices: tuple[Device, ...] = ()
    soc_pct: float | None = None
    reserve_pct: float = 0.0
    held_event: str | None = None
    """The event that runs."""
    reason_code: str = ""
    """Why the controller does what it does."""
    reason: str = ""


def facts(heard: Heard, station: Station, preferences: Preferences, link: BatteryLink | None, moment: view.Moment) -> Facts | None:
    """What is known at `moment`; None while the bus or the time is not."""
    if moment.now is None or not moment.connected:
        return None
    shown = view.state_view(heard, station, preferences, moment)
    controller = shown.controller
    running = controller is not None and controller.phase == "ongoing"
    return Facts(
        now=moment.now,
        events=dict(heard.events),
        performances=dict(heard.performances),
        devices=tuple(_devices(heard, station, link, moment)),
        soc_pct=shown.battery.soc_pct,
        reserve_pct=preferences.backup_reserve_pct,
        held_event=controller.event_id if controller is not None and running else None,
        reason_code=controller.reason_code if controller is not None else "",
        reason=controller.reason if controller is not None else "",
    )


def _devices(heard: Heard, station: Station, link: BatteryLink | None, moment: view.Moment) -> Iterator[Device]:
    needed = ["relay_bridge", "controller", "recorder"]
    needed += ["bluetti_bridge"] if station.battery.has_data_link else []
    needed += ["ina260_reader"] if station.positions.ina260s() else []
    offline: dict[str, bool | None] = {}
    for name in needed:
        status = heard.services.get(name)
        offline[name] = None if status is None else status.state == "offline"
        yield Device(f"service/{name}", f"The service {name}", offline[name], "it has stopped")
    for position in station.positions.relays():
        relay = heard.relays.get(position)
        # What an absent bridge left retained says nothing of the relay, and its own absence is told.
        lost = None if relay is None or offline["relay_bridge"] else relay.fault is not None
        yield Device(f"relay/{position}", f"The relay at {position.upper()}", lost, (relay.fault or "") if relay else "")
    if station.battery.has_data_link:
        lost = None if link is None or offline["bluetti_bridge"] else link.silent
        yield Device(
            "battery/link",
            "The power station",
            lost,
            "it does not answer" + (f": {link.last_failure}" if link and link.last_failure else ""),
        )
    for position in station.positions.ina260s():
        reading = heard.positions.get(position)
        silent = None if reading is None or offline["ina260_reader"] else moment.monotonic_s - reading.received_at > METER_SILENT_S
        yield Device(f"meter/{position}", f"The meter at {position.upper()}", silent, "it gives no readings")
