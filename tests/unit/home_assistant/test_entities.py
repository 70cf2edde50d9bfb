"""What Home Assistant is told: only documented keys, only topics and fields that the bus really has."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from services.bus.access import HOME_ASSISTANT_CORE, rights
from services.bus.contract import CHANNELS
from services.bus.topics import Topics
from services.core.config.load import parse_station
from services.core.modes import Mode
from services.home_assistant.entities import discovery
from services.home_assistant.modes import AUTOMATIC, UnknownOption, label, options, override

SHIPPED = Path("config/station.yaml").read_text(encoding="utf-8")
STATION = parse_station(SHIPPED)

# From the "configuration variables" of home-assistant.io/integrations/{sensor,binary_sensor,select}.mqtt and /mqtt.
COMMON = {
    "availability", "availability_mode", "device", "origin", "enabled_by_default", "entity_category", "icon", "json_attributes_template",
    "json_attributes_topic", "name", "qos", "state_topic", "unique_id", "value_template",
}  # fmt: skip
KEYS = {
    "sensor": COMMON | {"device_class", "expire_after", "force_update", "options", "state_class", "unit_of_measurement"},
    "binary_sensor": COMMON | {"device_class", "expire_after", "force_update", "off_delay", "payload_on", "payload_off"},
    "select": COMMON | {"command_template", "command_topic", "optimistic", "options", "retain"},
}
REQUIRED = {"sensor": {"state_topic"}, "binary_sensor": {"state_topic"}, "select": {"command_topic", "options"}}
DEVICE = {"configuration_url", "connections", "identifiers", "manufacturer", "model", "name", "suggested_area", "sw_version", "via_device"}
AVAILABILITY = {"topic", "payload_available", "payload_not_available", "value_template"}


def messages(station=STATION):
    return discovery(station, "1.2.3")


def test_every_message_has_only_documented_keys_and_all_required_ones():
    for topic, message in messages().items():
        prefix, component, _, last = topic.split("/")
        assert (prefix, last) == ("homeassistant", "config")
        assert set(message) <= KEYS[component], topic
        assert REQUIRED[component] | {"unique_id", "device", "origin", "name"} <= set(message), topic
        assert set(message["device"]) <= DEVICE
        assert set(message["origin"]) <= {"name", "sw_version", "support_url"}
        assert all(set(entry) <= AVAILABILITY for entry in message.get("availability", []))
        assert re.fullmatch(r"[A-Za-z0-9_-]+", topic.split("/")[2]), "Home Assistant's rule for an object id"


def test_every_topic_and_field_named_is_one_that_the_bus_carries():
    topics = Topics("demo", CHANNELS)
    fields = {channel.pattern: set(channel.model.model_fields) for channel in CHANNELS}
    for topic, message in messages().items():
        named = [(message["state_topic"], message["value_template"])]
        named += [(entry["topic"], entry["value_template"]) for entry in message.get("availability", [])]
        for state_topic, template in named:
            found = topics.identify(state_topic)
            assert found is not None, (topic, state_topic)
            used = set(re.findall(r"value_json\.(\w+)", template))
            assert used, (topic, template)
            assert used <= fields[found[0].pattern], (topic, used)


def test_ids_are_unique_and_entities_belong_to_one_device():
    found = list(messages().values())
    assert len({message["unique_id"] for message in found}) == len(found)
    assert len({str(message["device"]["identifiers"]) for message in found}) == 1


def test_every_reading_runs_out_but_states_do_not():
    for topic, message in messages().items():
        is_reading = message["state_topic"].endswith("/reading")
        assert ("expire_after" in message) == is_reading, topic


def test_what_the_station_lacks_is_not_shown():
    station = yaml.safe_load(SHIPPED)
    del station["positions"]["p4"]
    shown = messages(parse_station(yaml.safe_dump(station)))
    assert "homeassistant/sensor/demo_p4_power/config" in messages()
    assert "homeassistant/sensor/demo_p4_power/config" not in shown


def test_station_without_a_data_link_shows_the_estimated_charge():
    station = yaml.safe_load(SHIPPED)
    station["battery"]["driver"] = "none"
    del station["positions"]["p4"]
    station["positions"]["p3"] = {"driver": "shelly_gen2", "address": "http://192.0.2.3"}
    shown = messages(parse_station(yaml.safe_dump(station)))
    assert shown["homeassistant/sensor/demo_soc/config"]["state_topic"] == "sps/demo/battery/estimate"
    assert "homeassistant/binary_sensor/demo_ac_output/config" not in shown
    assert "homeassistant/binary_sensor/demo_bluetti_bridge_health/config" not in shown


def test_an_ac_output_that_is_switched_shows_its_state_and_fault_while_the_bluetti_bridge_is_there():
    station = yaml.safe_load(SHIPPED)
    station["positions"]["p3"] = {"sensor": "station", "switch": "ac_output", "deadman": "none"}
    shown = messages(parse_station(yaml.safe_dump(station)))
    for kind in ("relay", "fault"):
        name = f"homeassistant/binary_sensor/demo_p3_{kind}/config"
        assert name not in messages()
        assert shown[name]["state_topic"] == "sps/demo/relay/p3/state"
        assert [entry["topic"] for entry in shown[name]["availability"]] == ["sps/demo/service/bluetti_bridge/status"]
    assert shown["homeassistant/binary_sensor/demo_p3_relay/config"]["name"] == "AC output at P3"
    assert shown["homeassistant/binary_sensor/demo_p1_relay/config"]["name"] == "Relay P1"


def test_select_offers_automatic_and_only_the_modes_that_the_hardware_can_do():
    assert options(STATION.hardware) == [AUTOMATIC, "1 grid and charge", "2 grid", "3 battery and charge", "5 battery"]


def test_each_option_becomes_its_override_and_nothing_else_does():
    hour = timedelta(hours=1)
    assert override(AUTOMATIC, STATION.hardware, hour, "a").release
    chosen = override(label(Mode.BATTERY), STATION.hardware, hour, "a")
    assert (chosen.mode, chosen.duration, chosen.release) == (5, hour, False)
    for wrong in ("", "5", "0 all off", "Automatic"):
        with pytest.raises(UnknownOption):
            override(wrong, STATION.hardware, hour, "a")


@pytest.mark.parametrize("prefix", ["homeassistant", "ha"])
def test_the_broker_lets_both_sides_do_what_the_messages_ask(prefix):
    settings = STATION.home_assistant.model_copy(update={"enabled": True, "prefix": prefix})
    station = STATION.model_copy(update={"home_assistant": settings})
    allowed = {one.user: one for one in rights(station)}
    ours, home = allowed["home_assistant"], allowed[HOME_ASSISTANT_CORE]
    for topic, message in messages(station).items():
        assert ours.may_write(topic)
        assert home.may_read(topic)
        heard = [message[key] for key in ("state_topic", "json_attributes_topic") if key in message]
        for read in [*heard, *(one["topic"] for one in message.get("availability", ()))]:
            assert home.may_read(read), read
        if "command_topic" in message:
            assert home.may_write(message["command_topic"])
            assert ours.may_read(message["command_topic"])
