"""What an emulated Bluetti keeps in its registers. Written apart from the bridge's maps, so that the two can disagree."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Status = Mapping[str, Any]
"""What the power station says of itself, by the names of `battery/reading`."""

POWER_OFF = 3060
"""In the first generation: writing 1 here ends everything until somebody presses the button."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one model keeps what."""

    name: str
    powers: Mapping[str, int]
    soc: int
    device_type: int
    swapped: bool
    ac_state: int
    """Where the AC output's state is read."""
    ac_switch: int | None
    """Where it is switched, if it can be."""
    eco: int | None
    defaults: Mapping[int, int]
    """Settings as delivered."""
    readable: tuple[range, ...]
    writable: tuple[range, ...]


def _first(name: str, defaults: Mapping[int, int], *, eco: int | None = None) -> Layout:
    return Layout(
        name=name,
        powers={"dc_in_w": 36, "ac_in_w": 37, "ac_out_w": 38, "dc_out_w": 39},
        soc=43,
        device_type=10,
        swapped=False,
        ac_state=48,
        ac_switch=3007,
        eco=eco,
        defaults={70: 1, **defaults},
        readable=(range(210), range(3000, 3068)),
        writable=(range(3000, 3067),),
    )


def _second(name: str, *, ac_state: int = 2011, ac_switch: int | None = 2011, eco: int | None = None) -> Layout:
    return Layout(
        name=name,
        powers={"dc_out_w": 140, "ac_out_w": 142, "dc_in_w": 144, "ac_in_w": 146},
        soc=102,
        device_type=110,
        swapped=True,
        ac_state=ac_state,
        ac_switch=ac_switch,
        eco=eco,
        defaults={2012: 0, 2020: 0},
        readable=(range(100, 162), range(1100, 1600), range(2000, 2067), range(6000, 6300)),
        writable=() if ac_switch is None else (range(2000, 2067),),
    )


_SLEEPLESS = {3061: 5}
_LARGE = {3001: 3, 3005: 1, 95: 1, **_SLEEPLESS}
LAYOUTS = {
    layout.name: layout
    for layout in (
        _first("AC200M", _SLEEPLESS),
        _first("AC300", _LARGE),
        _first("AC500", _LARGE),
        _first("EP500", _LARGE),
        _first("EB3A", {3034: 4, 3064: 4, 3065: 0}, eco=3063),
        _second("AC180", eco=2017),
        _second("AC60"),
        _second("AC2A", ac_state=1509, ac_switch=None),
    )
}


class IllegalAddress(LookupError):
    """MODBUS exception 2."""


class Registers:
    """The registers of one power station: measured ones from `status`, settings kept here."""

    def __init__(self, layout: Layout, status: Callable[[], Status], set_ac_output: Callable[[bool], None]) -> None:
        self.layout = layout
        self.settings = dict(layout.defaults)
        self.forced: dict[int, int] = {}
        """What these registers say instead: for values that nobody expects."""
        self.written: list[tuple[int, int]] = []
        self.powered_off = False
        self._status = status
        self._set_ac_output = set_ac_output

    def read(self, address: int, count: int) -> bytes:
        """Raises IllegalAddress."""
        wanted = range(address, address + count)
        if not any(wanted[0] in known and wanted[-1] in known for known in self.layout.readable):
            raise IllegalAddress(address)
        words = self.settings | self._measured() | self.forced
        return b"".join(words.get(each, 0).to_bytes(2, "big") for each in wanted)

    def write(self, address: int, value: int) -> None:
        """Raises IllegalAddress."""
        if not any(address in known for known in self.layout.writable):
            raise IllegalAddress(address)
        self.written.append((address, value))
        self.settings[address] = value
        if address == self.layout.ac_switch:
            self._set_ac_output(value == 1)
        elif address == POWER_OFF and self.layout.soc == 43 and value == 1:
            self.powered_off = True

    def _measured(self) -> dict[int, int]:
        status, layout = self._status(), self.layout
        on = int(bool(status["ac_output_on"]))
        words = {address: round(status[name]) for name, address in layout.powers.items()}
        words |= {layout.soc: round(status["soc_pct"]), layout.ac_state: on}
        if layout.ac_switch is not None:
            words[layout.ac_switch] = on
        if layout.eco is not None:
            words[layout.eco] = int(bool(status["eco_mode"]))
        text = layout.name.encode().ljust(12, b"\0")
        order = "little" if layout.swapped else "big"
        return words | {layout.device_type + i: int.from_bytes(text[2 * i : 2 * i + 2], order) for i in range(6)}  # type: ignore[arg-type]
