"""Register maps out of bluetti-mqtt's device layer.

Taken from there: addresses, ranges, names of values, and what a poll reads. Its parser is not used, because an unknown value of an
enumeration raises out of it, nor its writer, because that knows no ranges and would write `power_off`.
"""

from dataclasses import replace

from bluetti_mqtt.core.devices.bluetti_device import BluettiDevice
from bluetti_mqtt.core.devices.struct import BoolField, DeviceField, EnumField, StringField, SwapStringField, UintField

from services.bluetti_bridge.model import ON_OFF, Choice, Control, Flag, Model, Number, Register, Text

_CONTROLS_FROM = 3000
"""In the first generation, the status stands below and the settings above. Where both have a field, the status tells what is so."""
_READING = {
    "total_battery_percent": "soc_pct",
    "ac_input_power": "ac_in_w",
    "ac_output_power": "ac_out_w",
    "dc_input_power": "dc_in_w",
    "dc_output_power": "dc_out_w",
    "ac_output_on": "ac_output_on",
    "eco_on": "eco_mode",
}
_WHITELIST = {"ac_output_on": "ac_output", "dc_output_on": "dc_output", "ups_mode": "ups_mode", "charging_mode": "charging_mode"}


def model_from(device: type[BluettiDevice], name: str) -> Model:
    """The map that bluetti-mqtt has for `device`."""
    known = device("", "")
    fields = sorted(known.struct.fields, key=lambda field: field.address)
    reading: dict[str, Register] = {}
    watched: dict[str, Register] = {}
    device_type = None
    for field in fields:
        register = _register(field)
        if isinstance(register, Text) and field.name == "device_type":
            device_type = device_type or register
        elif register is not None and (ours := _READING.get(field.name)) is not None:
            reading.setdefault(ours, register)
        elif isinstance(register, Choice):
            watched.setdefault(field.name, register)
    if isinstance(soc := reading["soc_pct"], Number):
        reading["soc_pct"] = replace(soc, high=100)
    assert device_type is not None, f"bluetti-mqtt has no device type for {name}"  # noqa: S101 - its data is pinned
    return Model(
        name=name,
        blocks=tuple((command.starting_address, command.quantity) for command in known.polling_commands),
        device_type=device_type,
        reading=reading,
        others=watched,
        controls={_WHITELIST[field.name]: control for field in fields if (control := _control(field)) is not None},
        source="bluetti-mqtt 0.15.0; proved against our own emulator only",
    )


def _register(field: DeviceField) -> Register | None:
    if isinstance(field, UintField):
        return Number(field.address) if field.range is None else Number(field.address, *field.range)
    if isinstance(field, BoolField):
        return Flag(field.address)
    if isinstance(field, EnumField):
        return Choice(field.address, {member.value: member.name.lower() for member in field.enum})
    if isinstance(field, StringField | SwapStringField):
        return Text(field.address, field.size, swapped=isinstance(field, SwapStringField))
    return None


def _control(field: DeviceField) -> Control | None:
    if field.name not in _WHITELIST or field.address < _CONTROLS_FROM:
        return None
    if isinstance(field, EnumField):
        return Control(field.address, {member.name.lower(): member.value for member in field.enum})
    return Control(field.address, ON_OFF)
