"""A power station without a data link, in the station file."""

from pathlib import Path

import pytest
import yaml

from services.core.config.load import ConfigError, parse_station

CONFIG = Path(__file__).parents[3] / "config"
EXAMPLE = (CONFIG / "examples" / "no-data-link.yaml").read_text(encoding="utf-8")


def changed(**sections):
    return yaml.safe_dump(yaml.safe_load(EXAMPLE) | sections)


def test_the_word_none_makes_a_station_without_a_data_link_or_an_address():
    battery = parse_station(EXAMPLE).battery
    assert not battery.has_data_link
    assert battery.address == ""
    assert parse_station((CONFIG / "station.yaml").read_text(encoding="utf-8")).battery.has_data_link


@pytest.mark.parametrize("position", ["p3", "p4"])
def test_such_a_station_measures_nothing_so_its_ports_need_meters_of_their_own(position):
    positions = yaml.safe_load(EXAMPLE)["positions"] | {position: {"sensor": "station"}}
    with pytest.raises(ConfigError, match=f"positions.{position}: with 'battery.driver: none' the power station measures nothing"):
        parse_station(changed(positions=positions))


def test_any_other_driver_needs_an_address():
    battery = yaml.safe_load(EXAMPLE)["battery"] | {"driver": "simulated"}
    with pytest.raises(ConfigError, match="needs an address; a station that cannot be asked has 'driver: none'"):
        parse_station(changed(battery=battery))


def test_quiet_hours_have_a_begin_and_an_end():
    with pytest.raises(ConfigError, match="go together"):
        parse_station(changed(normal={"quiet_from": "22:00"}))
