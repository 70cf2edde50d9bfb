"""The word `simulated` in a station file, and where it stands for."""

from pathlib import Path

import pytest
import yaml

from services.core.config.load import ConfigError, parse_station
from services.core.config.simulated import located
from services.core.config.station import Station

SHIPPED = (Path(__file__).parents[3] / "config" / "station.yaml").read_text(encoding="utf-8")


def places(station: Station) -> list[str]:
    relays, sensors = station.positions.relays().values(), station.positions.ina260s().values()
    return [*(relay.address for relay in relays), *(str(s.bus) for s in sensors), station.battery.address, station.simulator_address]


def test_the_shipped_station_says_only_that_its_devices_are_simulated():
    assert "127.0.0.1:180" not in SHIPPED
    assert places(parse_station(SHIPPED)) == [
        "http://127.0.0.1:18081",
        "http://127.0.0.1:18082",
        "tcp:127.0.0.1:18085",
        "hci:tcp:127.0.0.1:18084/AC1802237000123456",
        "http://127.0.0.1:18083",
    ]


def test_their_place_is_the_deployments():
    assert places(parse_station(SHIPPED, "simulator")) == [
        "http://simulator:18081",
        "http://simulator:18082",
        "tcp:simulator:18085",
        "hci:tcp:simulator:18084/AC1802237000123456",
        "http://simulator:18083",
    ]


def test_every_kind_of_device_has_a_place_of_its_own():
    data = {
        "clock": "simulated",
        "positions": {
            "p1": {"driver": "kasa", "address": "simulated"},
            "p2": {"driver": "shelly_ble", "address": "simulated"},
            "p3": {"address": "simulated", "driver": "shelly_gen1"},
        },
        "loads": {"heater": {"address": "simulated"}, "fridge": {"address": "http://192.168.1.7"}, "boiler": {"address": "simulated"}},
        "battery": {"driver": "simulated", "address": "simulated"},
    }
    found = located(data)
    assert found["positions"]["p1"]["address"] == "kasa://127.0.0.1:18081"
    assert found["positions"]["p2"]["address"] == "hci:tcp:127.0.0.1:18082/F0:5E:11:00:00:82"
    assert found["positions"]["p3"]["address"] == "http://127.0.0.1:18086"
    assert [load["address"] for load in found["loads"].values()] == [
        "http://127.0.0.1:18087",
        "http://192.168.1.7",
        "http://127.0.0.1:18089",
    ]
    assert found["battery"]["address"] == "http://127.0.0.1:18083"
    assert "simulation" not in found  # the power station's own port carries the controls
    assert data["battery"] == {"driver": "simulated", "address": "simulated"}


def test_a_power_station_is_simulated_as_its_model():
    station = parse_station(SHIPPED.replace("  driver: bluetti_ble\n", "  driver: bluetti_ble\n  model: EB3A\n"))
    assert station.battery.address == "hci:tcp:127.0.0.1:18084/EB3A2237000123456"


def test_addresses_that_are_written_out_stay():
    body = yaml.safe_load(SHIPPED)
    body["positions"]["p1"]["address"] = "http://127.0.0.1:28081"
    body["simulation"] = {"port_address": "http://127.0.0.1:28083"}
    station = parse_station(yaml.safe_dump(body), "simulator")
    assert station.positions.relays()["p1"].address == "http://127.0.0.1:28081"
    assert station.simulator_address == "http://127.0.0.1:28083"


@pytest.mark.parametrize("left", ["positions.p1.address", "positions.p4.bus", "battery.address"])
def test_a_real_station_has_no_simulated_device(left):
    body = yaml.safe_load(SHIPPED) | {"clock": "system"}
    body["positions"]["p1"]["address"], body["positions"]["p2"]["address"] = "http://192.168.1.20", "http://192.168.1.21"
    body["positions"]["p4"]["bus"], body["battery"]["address"] = 1, "AC1802237000123456"
    parse_station(yaml.safe_dump(body))
    section = body
    *path, field = left.split(".")
    for name in path:
        section = section[name]
    section[field] = "simulated"
    with pytest.raises(ConfigError) as refused:
        parse_station(yaml.safe_dump(body))
    assert f"{left}: 'simulated' goes with 'clock: simulated'; name the real device" in str(refused.value)


@pytest.mark.parametrize(
    "text", ["clock: simulated\npositions: 1", "clock: simulated\nbattery: []\nloads: x\nsimulation: 7", "positions: {p1: 1}"]
)
def test_a_file_wrong_in_other_ways_is_still_told_so(text):
    with pytest.raises(ConfigError):
        parse_station(text)
