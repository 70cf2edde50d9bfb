"""The columns of the journal: what each holds, its scale, and what is physically possible.

Currents are left out: voltage and power are there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Column:
    """A quantity, kept as a whole number of `1 / scale` of its unit. Values outside `low` to `high` are absurd."""

    scale: int
    low: float
    high: float
    unit: str

    def encode(self, value: float) -> int:
        """The whole number to store."""
        return round(value * self.scale)

    def decode(self, stored: float) -> float:
        """The value in the column's unit."""
        return stored / self.scale

    def possible(self, value: float) -> bool:
        """Whether any device of this kind could mean this."""
        return self.low <= value <= self.high

    def refusal(self, value: float) -> str:
        """What to say of a value that is not possible."""
        unit = " and its unit: a thousandth of it could be" if self.possible(value / 1000) else ""
        return f"it must lie between {self.low:g} and {self.high:g} {self.unit}; check the device{unit}"


_POWER = Column(10, -30_000, 30_000, "W")
_VOLTAGE = Column(10, 0, 1_000, "V")
_COUNTER = Column(10, -1e9, 1e9, "Wh")
_PERCENT = Column(100, 0, 100, "%")
_FLAG = Column(1, 0, 1, "")

COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        **{f"{position}_w": _POWER for position in ("p1", "p2", "p3", "p4")},
        **{f"{position}_v": _VOLTAGE for position in ("p1", "p2", "p3", "p4")},
        **{f"{position}_wh": _COUNTER for position in ("p1", "p2", "p3", "p4")},
        "soc_pct": _PERCENT,
        "estimate_pct": _PERCENT,
        **{f"{port}_w": _POWER for port in ("ac_in", "ac_out", "dc_in", "dc_out")},
        "ac_output_on": _FLAG,
        "eco_mode": _FLAG,
    }
)
"""In the order of the table. `*_wh` are the devices' own running counters; `estimate_pct` is the observer's state of charge."""

NAMES = tuple(COLUMNS)
INDEX = MappingProxyType({name: i for i, name in enumerate(NAMES)})

Row = list[int | None]
"""Stored values in the order of `NAMES`; None where nothing was read."""


def empty_row() -> Row:
    """A row in which nothing was read."""
    return [None] * len(NAMES)
