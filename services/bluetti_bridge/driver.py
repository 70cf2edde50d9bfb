"""What the bridge asks of a power station driver."""

from dataclasses import dataclass
from typing import Protocol

from services.bluetti_bridge.errors import BadReply
from services.core.readings import BatteryReading


@dataclass(frozen=True, slots=True)
class Reply:
    """One reading, and the fields that could not be believed: these are unknown in it."""

    reading: BatteryReading
    refused: tuple[BadReply, ...] = ()


class PowerStationDriver(Protocol):
    """One power station. Calls block, for a few time-outs at most, and are made one at a time."""

    def read(self) -> Reply:
        """Read it. Raises StationError, and nothing else."""
        ...

    def close(self) -> None:
        """Release the connection; a call still under way may fail."""
        ...
