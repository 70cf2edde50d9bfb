"""The discovery messages of a station: one entity each, with the topics it already publishes. Pure.

Topic and keys as in https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery and the pages of the sensor,
binary_sensor and select integrations. Home Assistant reads our JSON with its own templates; there, JSON's null is
`None`, which both kinds of sensor show as unknown.
"""

from dataclasses import dataclass
from typing import Any

from services.core.config.hardware import RelayDevice, StationSensor
from services.core.config.station import Station
from services.home_assistant.modes import COMMAND_PATH, options, state_template

_POSITIONS = {"p1": "Grid to load (P1)", "p2": "Grid to battery (P2)", "p3": "Battery to load (P3)", "p4": "PV to battery (P4)"}
_SHORTEST_EXPIRY_S = 60
_EXPIRY_POLLS = 3
"""A reading is unavailable after so many polls without one."""
_LONGEST_STATE = 255
"""Home Assistant refuses longer states."""

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity: its kind in Home Assistant, its short name, and what its discovery message says."""

    component: str
    key: str
    payload: Payload


def discovery(station: Station, version: str) -> dict[str, Payload]:
    """The discovery messages by topic."""
    root = f"sps/{station.station}"
    device = {
        "identifiers": [f"sps_{station.station}"],
        "name": f"Power station {station.station}",
        "manufacturer": "Smart Power Station",
        "model": "Home battery for demand response",
        "sw_version": version,
        "configuration_url": station.web.url,
    }
    origin = {"name": "Smart Power Station", "sw_version": version}
    entities = [*_powers(station, root), *_battery(station, root), *_controller(root), *_relays(station, root), *_health(station, root)]
    entities.append(_select(station, root))
    return {
        f"{station.home_assistant.prefix}/{entity.component}/{station.station}_{entity.key}/config": {
            "unique_id": f"sps_{station.station}_{entity.key}",
            **entity.payload,
            "device": device,
            "origin": origin,
        }
        for entity in entities
    }


def _powers(station: Station, root: str) -> list[Entity]:
    found = []
    for position, name in _POSITIONS.items():
        device = getattr(station.positions, position)
        if device is None:
            continue
        poll_s = getattr(device, "poll_s", station.battery.poll_s)
        reading: Payload = {
            "state_topic": f"{root}/position/{position}/reading",
            "expire_after": max(_SHORTEST_EXPIRY_S, round(_EXPIRY_POLLS * poll_s)),
            **_available(root, _source(device)),
        }
        power = {"name": name, "device_class": "power", "unit_of_measurement": "W", "state_class": "measurement"}
        found.append(Entity("sensor", f"{position}_power", {**power, **reading, "value_template": "{{ value_json.power_w }}"}))
        if isinstance(device, RelayDevice):
            energy = {"name": f"{name}, energy", "device_class": "energy", "unit_of_measurement": "Wh", "state_class": "total_increasing"}
            found.append(Entity("sensor", f"{position}_energy", {**energy, **reading, "value_template": "{{ value_json.energy_wh }}"}))
    return found


def _battery(station: Station, root: str) -> list[Entity]:
    soc = {"name": "State of charge", "device_class": "battery", "unit_of_measurement": "%", "state_class": "measurement"}
    soc["value_template"] = "{{ value_json.soc_pct }}"
    if not station.battery.has_data_link:
        estimate = {"state_topic": f"{root}/battery/estimate", "expire_after": _SHORTEST_EXPIRY_S, **_available(root, "controller")}
        return [Entity("sensor", "soc", {**soc, **estimate})]
    reading: Payload = {
        "state_topic": f"{root}/battery/reading",
        "expire_after": max(_SHORTEST_EXPIRY_S, round(_EXPIRY_POLLS * station.battery.poll_s)),
        **_available(root, "bluetti_bridge"),
    }
    output = {"name": "AC output", "device_class": "power", **_TRUE_FALSE}
    return [
        Entity("sensor", "soc", {**soc, **reading}),
        Entity("binary_sensor", "ac_output", {**output, **reading, "value_template": "{{ value_json.ac_output_on }}"}),
    ]


def _controller(root: str) -> list[Entity]:
    state: Payload = {"state_topic": f"{root}/controller/state", **_available(root, "controller")}
    phases = {"name": "Phase", "device_class": "enum", "options": ["normal", "upcoming", "ongoing"]}
    return [
        Entity("sensor", "phase", {**phases, **state, "value_template": "{{ value_json.phase }}"}),
        Entity("sensor", "mode", {"name": "Mode", **state, "value_template": "{{ value_json.mode_confirmed }}"}),
        Entity("sensor", "reason", {"name": "Reason", **state, "value_template": f"{{{{ value_json.reason[:{_LONGEST_STATE}] }}}}"}),
    ]


def _relays(station: Station, root: str) -> list[Entity]:
    """What is switched at each position; at P3 that may be the power station's own AC output."""
    found = []
    for position in station.positions.switched():
        by_relay = position in station.positions.relays()
        name = f"{'Relay' if by_relay else 'AC output at'} {position.upper()}"
        keeper = _available(root, "relay_bridge" if by_relay else "bluetti_bridge")
        state: Payload = {"state_topic": f"{root}/relay/{position}/state", **keeper, **_TRUE_FALSE}
        relay = {"name": name, "device_class": "power", "value_template": "{{ value_json.on }}"}
        fault = {
            "name": f"{name}, fault",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "value_template": "{{ value_json.fault is not none }}",
            "json_attributes_topic": f"{root}/relay/{position}/state",
        }
        found += [
            Entity("binary_sensor", f"{position}_relay", {**relay, **state}),
            Entity("binary_sensor", f"{position}_fault", {**fault, **state}),
        ]
    return found


def _health(station: Station, root: str) -> list[Entity]:
    """Always available: a service's status is retained, and its last will says when it is gone."""
    services = ["relay_bridge", "controller", "recorder", "gateway"]
    services += ["bluetti_bridge"] if station.battery.has_data_link else []
    services += ["ina260_reader"] if station.positions.ina260s() else []
    return [
        Entity(
            "binary_sensor",
            f"{service}_health",
            {
                "name": f"Service {service}",
                "device_class": "problem",
                "entity_category": "diagnostic",
                "state_topic": f"{root}/service/{service}/status",
                "value_template": "{{ value_json.state != 'online' or value_json.health != 'ok' }}",
                "json_attributes_topic": f"{root}/service/{service}/status",
                **_TRUE_FALSE,
            },
        )
        for service in services
    ]


def _select(station: Station, root: str) -> Entity:
    return Entity(
        "select",
        "manual_mode",
        {
            "name": "Manual mode",
            "options": options(station.hardware),
            "command_topic": f"{root}/{COMMAND_PATH}",
            "qos": 1,
            "retain": False,
            "state_topic": f"{root}/controller/state",
            "value_template": state_template(),
            **_available(root, "controller", "home_assistant"),
        },
    )


_TRUE_FALSE: Payload = {"payload_on": "True", "payload_off": "False"}
"""As Home Assistant's templates write JSON's true and false."""


def _available(root: str, *services: str) -> Payload:
    """Available while all of `services` are online."""
    topics = [{"topic": f"{root}/service/{service}/status", "value_template": "{{ value_json.state }}"} for service in services]
    return {"availability": topics, "availability_mode": "all"}


def _source(device: object) -> str:
    """The service that publishes the readings of `device`."""
    if isinstance(device, RelayDevice):
        return "relay_bridge"
    return "bluetti_bridge" if isinstance(device, StationSensor) else "ina260_reader"
