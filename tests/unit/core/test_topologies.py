"""What every kind of station can do, and that the example files say the same."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.supervisor import wanted
from services.cli.unproved import unproved
from services.core.config.hardware import Ina260Sensor, RelayDevice
from services.core.config.load import ConfigError, parse_hardware, parse_station
from services.core.modes import AtsPriority, Hardware, Mode, allowed_modes, refusal
from services.core.positions import Position
from services.simulator.lease import Lease
from services.simulator.place import NotSimulatable
from services.simulator.rig import Rig

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
    "inverter first": (Hardware(True, True, False, INVERTER), {0: P3, 1: DRAINS, 2: DRAINS, 3: DRAINS, 4: P3, 5: DRAINS}),
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
    "ac-output": {0, 1, 2, 3, 4, 5},
    "deferrable": {0, 1, 2, 3, 4, 5},
    "inverter-priority": {0, 1, 2, 3, 4, 5},
    "ups-inside": {1, 5},
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
    assert {file.stem for file in EXAMPLES.glob("*.yaml")} == set(CAN_BE_RUN)


@pytest.mark.parametrize("name", CAN_BE_RUN)
def test_an_example_is_right_its_modes_are_told_and_a_house_of_its_kind_can_be_simulated(name):
    station = parse_station(example(name))
    assert station.station in {name, "demo"}
    assert allowed_modes(station.hardware) == CAN_BE_RUN[name]
    result = CliRunner().invoke(app, ["check-config", str(EXAMPLES / f"{name}.yaml")])
    assert result.exit_code == 0
    told = {int(mode): outcome for mode, outcome in re.findall(r"mode (\d) .*? ((?:not )?possible)", result.output)}
    assert {mode for mode, outcome in told.items() if outcome == "possible"} == CAN_BE_RUN[name]
    assert result.output.count("not possible: ") == 6 - len(CAN_BE_RUN[name])
    assert set(Rig(station, speed=1.0, lease=Lease(None)).switches) == {*station.positions.relays(), *station.loads}


SAFE = {
    "all-external": (2, "p1", {"p1": True, "p2": False}),
    "p3-relay": (2, "p1", {"p1": True, "p2": False, "p3": True}),
    "inverter-priority": (2, "p3", {"p1": True, "p2": False, "p3": False}),
    "ups-inside": (1, "p2", {"p2": True}),
    "ac-output": (2, "p1", {"p1": True, "p2": False, "p3": True}),
}


@pytest.mark.parametrize("name", SAFE)
def test_the_safe_state_of_each_relay_comes_from_the_safe_mode_and_is_told(name):
    mode, transfer, states = SAFE[name]
    station = parse_station(example(name))
    assert (station.board.safe_mode, station.board.transfer) == (mode, transfer)
    assert {position: station.board.safe(Position(position)) for position in station.positions.switched()} == states
    told = CliRunner().invoke(app, ["check-config", str(EXAMPLES / f"{name}.yaml")]).output
    assert f"the safe mode is {mode}; the load is moved by {transfer.upper()}" in told
    for position, safe in states.items():
        assert f"{position.upper()} is safe {'on' if safe else 'off'}" in told
    relays = Rig(station, speed=1.0, lease=Lease(None)).switches
    boots = {position: switch.config.initial_state == "on" for position, switch in relays.items()}
    assert boots == {position: safe for position, safe in states.items() if position in relays}, "a simulated device boots safe, too"


@pytest.mark.parametrize(
    ("name", "change", "field", "remedy"),
    [
        ("ac-output", ("    deadman: none\n", ""), "positions.p3", "accept that by 'deadman: none'"),
        ("ac-output", ("    switch: ac_output\n", ""), "positions.p3", "nothing to switch here"),
        ("ac-output", ("priority: grid", "priority: inverter"), "the station", "put a relay at P3"),
        ("all-external", ("priority: grid", "priority: inverter"), "the station", "prefers the inverter"),
        ("ups-inside", ("  driver: simulated\n  address: http://127.0.0.1:18083\n", "  driver: none\n"), "the station", "P1 inside"),
        ("ups-inside", ("driver: shelly_gen2", "sensor: station"), "positions.p2.driver", ""),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_remedy(name, change, field, remedy):
    text = example(name)
    assert change[0] in text
    with pytest.raises(ConfigError) as refused:
        parse_station(text.replace(*change))
    problems = {problem.field: problem.remedy for problem in refused.value.problems}
    assert remedy in problems.get(field, "") or field == "positions.p2.driver"


def test_a_model_without_a_register_for_its_output_is_told_to_take_a_relay(tmp_path):
    file = tmp_path / "station.yaml"
    file.write_text(example("ac-output").replace("AC1802237000123456", "AC2A2237000123456"))
    result = CliRunner().invoke(app, ["check-config", str(file)])
    assert result.exit_code == 2
    assert "of an AC2A no register is known that switches ac_output; put a relay at P3" in result.stderr


def test_the_modes_of_hardware_that_cannot_be_run_are_told_all_the_same(tmp_path):
    file = tmp_path / "station.yaml"
    file.write_text(example("all-external").replace("priority: grid", "priority: inverter"))
    result = CliRunner().invoke(app, ["check-config", str(file)])
    assert result.exit_code == 2
    assert "mode 2  grid                 not possible: the transfer switch prefers the inverter" in result.output
    hardware = parse_hardware(file.read_text())
    assert hardware is not None
    assert allowed_modes(hardware) == frozenset()


def test_a_station_that_passes_through_needs_no_transfer_switch_and_is_not_asked_to_measure_one(tmp_path):
    text = example("ups-inside").replace("clock: simulated", "clock: system")
    station = parse_station(text)
    assert station.hardware.ats_priority is UNKNOWN
    assert [line.split(":")[0] for line in unproved(station, tmp_path)] == ["sps relay verify-deadman p2"]
    file = tmp_path / "station.yaml"
    file.write_text(text)
    refused = CliRunner().invoke(app, ["ats", "test", "--yes", "--config", str(file)])
    assert (refused.exit_code, "no transfer switch" in refused.stderr) == (2, True)


@pytest.mark.parametrize("text", ["", "- 1", "positions: 7", "positions: {p1: {sensor: moon}}\ntransfer_switch: {}\nbattery: {}", "a: ["])
def test_of_a_file_that_is_not_understood_no_modes_are_told(text):
    assert parse_hardware(text) is None


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
        ({"sensor": "ina260", "bus": "tcp:192.168.1.2:80"}, "positions.p4.bus", "simulated"),
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
