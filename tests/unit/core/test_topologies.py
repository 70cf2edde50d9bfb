"""What every kind of station can do, and that the example files say the same."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.supervisor import wanted
from services.core.config.hardware import Ina260Sensor, RelayDevice
from services.core.config.load import ConfigError, parse_hardware, parse_station
from services.core.modes import AtsPriority, Hardware, Mode, allowed_modes, refusal
from services.simulator.lease import Lease
from services.simulator.rig import NotSimulatable, Rig

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"
SHIPPED = (EXAMPLES.parent / "station.yaml").read_text(encoding="utf-8")
GRID, INVERTER, UNKNOWN = AtsPriority.GRID, AtsPriority.INVERTER, AtsPriority.UNKNOWN

P1, P2, P3 = "needs a relay at P1", "needs a relay at P2", "needs a relay at P3"
DRAINS, UNMEASURED = "prefers the inverter", "priority is unknown"
PASSES, INSIDE = "passes grid power through", "P1 is inside the power station"

TOPOLOGIES = {
    "all external": (Hardware(True, True, False, GRID), {0: P3, 4: P3}),
    "with a relay at P3": (Hardware(True, True, True, GRID), {}),
    "not yet measured": (Hardware(True, True, False, UNKNOWN), {0: P3, 3: UNMEASURED, 4: P3, 5: UNMEASURED}),
    "not yet measured, with a relay at P3": (Hardware(True, True, True, UNKNOWN), {3: UNMEASURED, 5: UNMEASURED}),
    "inverter first": (Hardware(True, True, False, INVERTER), {0: P3, 1: DRAINS, 2: DRAINS, 4: P3}),
    "inverter first, with a relay at P3": (Hardware(True, True, True, INVERTER), {}),
    "UPS outside": (Hardware(True, True, False, GRID, passthrough=True), {0: P3, 3: PASSES, 4: P3}),
    "UPS outside, with a relay at P3": (Hardware(True, True, True, GRID, passthrough=True), {3: PASSES}),
    "UPS inside": (Hardware(False, True, False, UNKNOWN, passthrough=True, p1_inside=True), {0: P3, 2: INSIDE, 3: INSIDE, 4: P3}),
    "UPS inside, with a relay at P3": (Hardware(False, True, True, UNKNOWN, True, p1_inside=True), {2: INSIDE, 3: INSIDE}),
    "UPS inside, without any relay": (
        Hardware(False, False, False, UNKNOWN, True, p1_inside=True),
        {0: P2, 2: INSIDE, 3: INSIDE, 4: P3, 5: P2},
    ),
    "P1 alone": (Hardware(True, False, False, GRID), {0: P3, 1: P2, 3: P2, 4: P2}),
    "P2 alone": (Hardware(False, True, False, GRID), {0: P1, 3: P1, 4: P1, 5: P1}),
    "nothing": (Hardware(False, False, False, GRID), {0: P1, 1: P2, 3: P1, 4: P1, 5: P1}),
}

CAN_BE_RUN = {
    "all-external": {1, 2, 3, 5},
    "ina260": {1, 2, 3, 5},
    "no-data-link": {0, 1, 2, 3, 4, 5},
    "no-pv": {1, 2, 3, 5},
    "p3-relay": {0, 1, 2, 3, 4, 5},
    "two-channel": {1, 2, 3, 5},
    "ups-outside": {1, 2, 5},
}


def example(name):
    return (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_each_topology_allows_a_mode_or_says_why_not(topology, mode):
    hardware, refusals = TOPOLOGIES[topology]
    why = refusal(mode, hardware)
    if mode in refusals:
        assert why is not None
        assert refusals[mode] in why
    else:
        assert why is None


def test_each_example_is_one_of_those_checked_here():
    assert {file.stem for file in EXAMPLES.glob("*.yaml")} == {*CAN_BE_RUN, "ups-inside"}


@pytest.mark.parametrize("name", CAN_BE_RUN)
def test_an_example_is_right_its_modes_are_told_and_a_house_of_its_kind_can_be_simulated(name):
    station = parse_station(example(name))
    assert station.station == name
    assert allowed_modes(station.hardware) == CAN_BE_RUN[name]
    result = CliRunner().invoke(app, ["check-config", str(EXAMPLES / f"{name}.yaml")])
    assert result.exit_code == 0
    told = {int(mode): outcome for mode, outcome in re.findall(r"mode (\d) .*? ((?:not )?possible)", result.output)}
    assert {mode for mode, outcome in told.items() if outcome == "possible"} == CAN_BE_RUN[name]
    assert result.output.count("not possible: ") == 6 - len(CAN_BE_RUN[name])
    assert set(Rig(station, speed=1.0, lease=Lease(None)).switches) == set(station.positions.relays())


def test_a_station_with_p1_inside_is_refused_with_the_reason_and_its_modes_are_told_all_the_same():
    with pytest.raises(ConfigError, match="cannot be run yet: without P1 there is no mode 2"):
        parse_station(example("ups-inside"))
    result = CliRunner().invoke(app, ["check-config", str(EXAMPLES / "ups-inside.yaml")])
    assert result.exit_code == 2
    assert "mode 2  grid                 not possible: P1 is inside the power station" in result.output
    assert re.search(r"mode 5 .* possible$", result.output, re.MULTILINE)
    hardware = parse_hardware(example("ups-inside"))
    assert hardware is not None
    assert allowed_modes(hardware) == {Mode.GRID_AND_CHARGE, Mode.BATTERY}


@pytest.mark.parametrize("text", ["", "- 1", "positions: 7", "positions: {p1: {sensor: moon}}\ntransfer_switch: {}\nbattery: {}", "a: ["])
def test_of_a_file_that_is_not_understood_no_modes_are_told(text):
    assert parse_hardware(text) is None


def test_inverter_priority_is_refused_even_with_a_relay_at_p3():
    with pytest.raises(ConfigError, match="cannot be run yet, not even with a relay at P3"):
        parse_station(example("p3-relay").replace("priority: grid", "priority: inverter"))


def test_the_kinds_of_devices_are_understood_by_their_fields():
    p3, p4 = parse_station(example("p3-relay")).positions.p3, parse_station(example("ina260")).positions.p4
    assert isinstance(p3, RelayDevice)
    assert isinstance(p4, Ina260Sensor)
    assert (p4.address, p4.simulated) == (0x40, True)


def test_the_reader_runs_only_where_there_is_something_to_read():
    assert "ina260_reader" in wanted(parse_station(example("ina260")))
    assert "ina260_reader" not in wanted(parse_station(example("all-external")))
    assert "bluetti_bridge" not in wanted(parse_station(example("no-data-link")))
    assert "bluetti_bridge" in wanted(parse_station(example("all-external")))


def test_a_service_that_the_station_has_no_use_for_is_not_run_alone():
    result = CliRunner().invoke(app, ["run", "--only", "ina260_reader", "--config", str(EXAMPLES / "all-external.yaml")])
    assert (result.exit_code, "no use for ina260_reader" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("p4", "field", "remedy"),
    [
        ({"sensor": "ina260", "address": 0x20}, "positions.p4.address", "greater than or equal to 64"),
        ({"sensor": "ina260", "bus": "spi"}, "positions.p4.bus", "number of an I²C bus"),
        ({"sensor": "ina260", "bus": "tcp:192.168.1.2:80"}, "positions.p4.bus", "127.0.0.1"),
        ({"sensor": "ina260", "bus": True}, "positions.p4.bus", "number of an I²C bus"),
        ({"sensor": "ina260", "poll_s": 60}, "positions.p4.poll_s", "less than or equal to 15"),
        ({"sensor": "ina260", "calibration": 0}, "positions.p4.calibration", "0.5"),
        ({"sensor": "ina260", "adress": 0x40}, "positions.p4.adress", "typing error"),
        ({"sensor": "ina219"}, "positions.p4", "sensor: ina260"),
        ({"driver": "shelly_gen2", "address": "http://127.0.0.1:1"}, "positions.p4", "sensor: ina260"),
    ],
)
def test_a_wrong_p4_names_the_field_as_it_stands_in_the_file(p4, field, remedy):
    station = yaml.safe_load(SHIPPED)
    station["positions"]["p4"] = p4
    with pytest.raises(ConfigError) as refused:
        parse_station(yaml.safe_dump(station))
    (problem,) = refused.value.problems
    assert problem.field == field
    assert remedy in problem.remedy
    assert problem.line is not None


def test_a_simulated_bus_and_a_real_clock_do_not_go_together_nor_the_other_way_round():
    with pytest.raises(ConfigError, match="simulator's stand-in"):
        parse_station(example("ina260").replace("clock: simulated", "clock: system"))
    real_bus = parse_station(example("ina260").replace("bus: tcp:127.0.0.1:18085", "bus: 1"))
    with pytest.raises(NotSimulatable, match=r"positions\.p4\.bus"):
        Rig(real_bus, speed=1.0, lease=Lease(None))
