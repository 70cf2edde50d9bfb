"""How an emulated relay is wired to the house."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Measured:
    """What a relay's meter sees behind its contact, now."""

    power_w: float
    energy_wh: float
    """Since the house was built."""
    voltage_v: float


class Wire(Protocol):
    """The line that a relay interrupts."""

    def close(self, closed: bool) -> None:
        """Move the contact, at this instant."""
        ...

    def measure(self) -> Measured:
        """Read the meter, at this instant."""
        ...
