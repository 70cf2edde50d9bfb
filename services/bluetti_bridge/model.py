"""What a model's register map says, and how registers become a reading. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.bluetti_bridge.driver import Reply
from services.bluetti_bridge.errors import BadReply
from services.core.readings import BatteryReading

Blocks = Mapping[int, bytes]
"""What was read: bytes by the address of their first register."""

_MOST_W = 20_000


@dataclass(frozen=True, slots=True)
class Number:
    """A register that counts: what it says is `raw` in the reading's own unit, and cannot lie outside `low` to `high`."""

    address: int
    low: int = 0
    high: int = _MOST_W
    size: int = 1


@dataclass(frozen=True, slots=True)
class Flag:
    """A register that is 0 or 1. Everything else is not believed."""

    address: int
    size: int = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """A register with named values. A value without a name is reported, and unknown."""

    address: int
    names: Mapping[int, str]
    size: int = 1


@dataclass(frozen=True, slots=True)
class Text:
    """ASCII over `size` registers, padded with zeros; `swapped` when the bytes of each register are."""

    address: int
    size: int
    swapped: bool = False


Register = Number | Flag | Choice | Text


@dataclass(frozen=True, slots=True)
class Control:
    """A register that may be written, and the only values that may go there, by name."""

    address: int
    values: Mapping[str, int]


ON_OFF: Mapping[str, int] = {"off": 0, "on": 1}


@dataclass(frozen=True, slots=True)
class Model:
    """One model's register map."""

    name: str
    """As the power station names itself, in its advertisement and in its registers."""
    blocks: tuple[tuple[int, int], ...]
    """What one poll reads: first register and count."""
    device_type: Text
    reading: Mapping[str, Register]
    """By field of BatteryReading."""
    others: Mapping[str, Register] = field(default_factory=dict)
    """What else is watched for values that are not known."""
    controls: Mapping[str, Control] = field(default_factory=dict)
    """The whitelist, by name: `ac_output`, `dc_output`, `ups_mode`, `charging_mode`."""
    source: str = ""
    """Where the map comes from, and how far it is proved."""

    def reply(self, blocks: Blocks, refused: Iterable[BadReply] = ()) -> Reply:
        """The reading in `blocks`; what cannot be believed is unknown and named. Raises BadReply when another model answered."""
        said = self._value("device_type", self.device_type, blocks, found := list(refused))
        if isinstance(said, str) and not said.startswith(self.name):
            raise BadReply("device_type", said, self.name)
        values = {name: self._value(name, register, blocks, found) for name, register in self.reading.items()}
        for name, register in self.others.items():
            self._value(name, register, blocks, found)
        numbers = {name: float(value) for name, value in values.items() if type(value) is int}
        flags = {name: value for name, value in values.items() if isinstance(value, bool)}
        reading = BatteryReading(
            soc_pct=numbers.get("soc_pct"),
            ac_in_w=numbers.get("ac_in_w"),
            ac_out_w=numbers.get("ac_out_w"),
            dc_in_w=numbers.get("dc_in_w"),
            dc_out_w=numbers.get("dc_out_w"),
            ac_output_on=flags.get("ac_output_on"),
            eco_mode=flags.get("eco_mode"),
        )
        return Reply(reading, tuple(found))

    def _value(self, name: str, register: Register, blocks: Blocks, refused: list[BadReply]) -> int | bool | str | None:
        data = cut(register, blocks)
        if data is None:
            return None
        try:
            return decoded(name, register, data)
        except BadReply as error:
            refused.append(error)
            return None


def cut(register: Register, blocks: Blocks) -> bytes | None:
    """The bytes of `register`; None if it was not read."""
    for address, data in blocks.items():
        start = 2 * (register.address - address)
        if start >= 0 and start + 2 * register.size <= len(data):
            return data[start : start + 2 * register.size]
    return None


def decoded(name: str, register: Register, data: bytes) -> int | bool | str:
    """What `data` says. Raises BadReply."""
    if isinstance(register, Text):
        return _text(name, register, data)
    raw = int.from_bytes(data, "big")
    if isinstance(register, Number):
        if not register.low <= raw <= register.high:
            raise BadReply(name, raw, f"{register.low} to {register.high}")
        return raw
    if isinstance(register, Flag):
        if raw not in {0, 1}:
            raise BadReply(name, raw, "0 or 1")
        return raw == 1
    if raw not in register.names:
        raise BadReply(name, raw, "one of " + ", ".join(f"{value} ({word})" for value, word in register.names.items()))
    return register.names[raw]


def _text(name: str, register: Text, data: bytes) -> str:
    if register.swapped:
        data = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    try:
        text = data.rstrip(b"\0 ").decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text:
        raise BadReply(name, data.hex(), "ASCII text")
    return text
