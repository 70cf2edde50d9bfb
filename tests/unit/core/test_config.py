"""The station file: what is shipped works, and what is wrong is named."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.config.load import ConfigError, parse_station
from services.core.config.web import is_loopback
from services.core.modes import Mode, allowed_modes

SHIPPED = (Path(__file__).parents[3] / "config" / "station.yaml").read_text(encoding="utf-8")


def test_the_shipped_file_is_the_simulated_station():
    station = parse_station(SHIPPED)
    assert station.clock == "simulated"
    assert {Mode.GRID, Mode.BATTERY, Mode.GRID_AND_CHARGE} <= allowed_modes(station.hardware)


@pytest.mark.parametrize(
    ("old", "new", "field", "remedy"),
    [
        ("priority: grid", "priority: gird", "transfer_switch.priority", "'grid', 'inverter' or 'unknown'"),
        ("priority: grid", "priority: inverter", "the station", "mode 2, the safe mode, is not possible"),
        ("capacity_wh: 1152", "capacity_wh: lots", "battery.capacity_wh", "valid number"),
        ("capacity_wh: 1152", "capacity_wh: -1", "battery.capacity_wh", "greater than 0"),
        ("floor_pct: 20", "floor_pct: 120", "battery.floor_pct", "less than or equal to 100"),
        ("floor_pct: 20", "flor_pct: 20", "battery.flor_pct", "typing error"),
        ('discharge_at: "17:00"', "discharge_at: 17:00", "normal.discharge_at", "quotation marks"),
        ("{kind: minimize}", "{kind: pledge}", "preferences.goal", "needs reduction_w"),
        ("timezone: Europe/Paris", "timezone: Paris", "timezone", "IANA"),
        ("duration: PT4H", "duration: soon", "preferences.duration", "ISO 8601"),
        ("discharge_to_pct: 60", "discharge_to_pct: 95", "normal", "must lie below charge_to_pct"),
        ("  host: 127.0.0.1\n  port: 8080", "  host: http://a\n  port: 8080", "web.host", "an address of this machine"),
        ("station: demo", "station: a/b", "station", "match pattern"),
    ],
)
def test_a_wrong_value_names_its_line_its_field_and_what_would_be_right(old, new, field, remedy):
    assert old in SHIPPED
    with pytest.raises(ConfigError) as refused:
        parse_station(SHIPPED.replace(old, new))
    (problem,) = refused.value.problems
    assert problem.field == field
    assert remedy in problem.remedy
    if field != "the station":
        assert problem.line is not None
        section_or_field = SHIPPED.replace(old, new).splitlines()[problem.line - 1]
        assert field.split(".")[-1] in section_or_field


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machines_own_addresses_are_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "station.example", "", "127.0.0.1.example"])
def test_no_other_is(host):
    assert not is_loopback(host)


def test_a_station_whose_transfer_switch_is_not_measured_yet_starts_but_never_opens_p1():
    station = parse_station(SHIPPED.replace("priority: grid", "priority: unknown"))
    assert allowed_modes(station.hardware) == {Mode.GRID, Mode.GRID_AND_CHARGE}


@pytest.mark.parametrize("text", ["", "a: [", "just words", "- 1\n- 2", "\t"])
def test_a_file_that_is_no_station_is_said_to_be_none(text):
    with pytest.raises(ConfigError):
        parse_station(text)


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_any_text_is_a_station_or_a_config_error(text):
    with pytest.raises(ConfigError):
        parse_station(text)
