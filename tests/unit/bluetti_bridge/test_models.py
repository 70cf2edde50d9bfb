"""The register maps: what they say of the same power station, and what they let nobody write."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from bluetti_bt_lib import devices as bt_lib
from bluetti_bt_lib.fields import FieldName

from services.bluetti_bridge.errors import BadReply
from services.bluetti_bridge.model import Choice, Flag, Model, Number
from services.bluetti_bridge.models import MODELS, model_named, model_of
from services.core.readings import BatteryReading
from services.simulator.devices.bluetti_registers import LAYOUTS, POWER_OFF, Registers

STATUS = {"soc_pct": 71, "ac_in_w": 410, "ac_out_w": 123, "dc_in_w": 50, "dc_out_w": 7, "ac_output_on": True, "eco_mode": True}
KNOWS_ECO = {"AC180", "EB3A"}
NAMES = {
    "soc_pct": FieldName.BATTERY_SOC.value,
    "ac_in_w": FieldName.AC_INPUT_POWER.value,
    "ac_out_w": FieldName.AC_OUTPUT_POWER.value,
    "dc_in_w": FieldName.DC_INPUT_POWER.value,
    "dc_out_w": FieldName.DC_OUTPUT_POWER.value,
}
all_models = pytest.mark.parametrize("name", sorted(MODELS))


def blocks(name: str, change: Callable[[Registers], None] = lambda _: None) -> dict[int, bytes]:
    """What an emulated power station has in the registers that a poll reads."""
    registers = Registers(LAYOUTS[name], lambda: STATUS, lambda _: None)
    change(registers)
    return {address: registers.read(address, count) for address, count in model_named(name).blocks}


@all_models
def test_reads_what_the_emulator_says(name: str) -> None:
    reply = model_named(name).reply(blocks(name))
    assert reply.refused == ()
    assert reply.reading == BatteryReading(71, 410, 123, 50, 7, True, True if name in KNOWS_ECO else None)


@all_models
def test_agrees_with_bluetti_bt_lib_about_every_power(name: str) -> None:
    theirs = {field.name: field.address for field in getattr(bt_lib, name)().fields}
    ours = {NAMES[field]: register.address for field, register in model_named(name).reading.items() if field in NAMES}
    assert ours == {field: theirs[field] for field in NAMES.values()}


@all_models
def test_never_switches_off_for_good_and_writes_nothing_but_names(name: str) -> None:
    model = model_named(name)
    assert set(model.controls) <= {"ac_output", "dc_output", "ups_mode", "charging_mode"}
    assert all(control.address != POWER_OFF and 0 <= value <= 4 for control in model.controls.values() for value in control.values.values())


def test_the_ac2a_has_nothing_to_write() -> None:
    assert model_named("AC2A").controls == {}


@all_models
def test_every_register_is_read_by_a_poll(name: str) -> None:
    model = model_named(name)
    read = {each for address, count in model.blocks for each in range(address, address + count)}
    registers = [model.device_type, *model.reading.values(), *model.others.values()]
    # Whatever a poll reads can be judged; what it does not read would be unknown for ever.
    assert {r.address for r in [model.device_type, *model.reading.values()]} <= read
    assert all(r.address in read for r in registers if not isinstance(r, Choice))


def choices(model: Model) -> Mapping[str, Choice]:
    return {name: register for name, register in model.others.items() if isinstance(register, Choice)}


@all_models
def test_values_that_nobody_knows_are_named_and_skipped(name: str) -> None:
    model = model_named(name)
    known = {**model.reading, **choices(model)}
    strange = {register.address: 777 for register in known.values() if isinstance(register, Flag | Choice)}
    read = blocks(name, lambda registers: registers.forced.update(strange))
    reply = model.reply(read)
    assert reply.reading == BatteryReading(71, 410, 123, 50, 7, None, None)
    assert {refused.field for refused in reply.refused} >= {"ac_output_on"}
    assert all("expected" in str(refused) for refused in reply.refused)


@all_models
def test_a_charge_beyond_full_is_unknown(name: str) -> None:
    soc = model_named(name).reading["soc_pct"]
    assert isinstance(soc, Number)
    reply = model_named(name).reply(blocks(name, lambda registers: registers.forced.update({soc.address: 101})))
    assert (reply.reading.soc_pct, [refused.field for refused in reply.refused]) == (None, ["soc_pct"])


def test_another_model_is_not_believed() -> None:
    with pytest.raises(BadReply, match="device_type is 'AC60', expected AC180"):
        model_named("AC180").reply(blocks("AC60"))


def test_what_was_not_read_is_unknown_and_no_fault() -> None:
    reply = model_named("AC180").reply({100: blocks("AC180")[100]})
    assert (reply.reading.soc_pct, reply.reading.ac_output_on, reply.refused) == (71, None, ())


@pytest.mark.parametrize(
    ("advertised", "model"),
    [
        ("AC1802237000123456", "AC180"),
        ("AC200M2237000123456", "AC200M"),
        ("AC180P2237000123456", None),
        ("EP5002237000123456", "EP500"),
        ("", None),
    ],
)
def test_the_model_is_read_off_the_advertised_name(advertised: str, model: Any) -> None:
    assert model_of(advertised) == model


def test_an_unknown_model_is_named_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="'AC9000' is not known; use one of AC180, AC200M"):
        model_named("AC9000")
