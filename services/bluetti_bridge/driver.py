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
    rssi_dbm: float | None = None
    """How strongly the power station was heard; None for a way that has no radio."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How often a power station bears to be asked."""

    longest_wait_s: float = 10.0
    """Real seconds between two attempts, at most, while it cannot be read."""
    connections_per_hour: int | None = None
    """Never more, whatever the polling period; None where connections do no harm."""


class PowerStationDriver(Protocol):
    """One power station. Calls block, for a few time-outs at most, and are made one at a time."""

    @property
    def manners(self) -> Manners:
        """How often `read` may be called."""
        ...

    def read(self) -> Reply:
        """Read it. Raises StationError, and nothing else."""
        ...

    def set(self, control: str, value: str) -> None:
        """Write `value` to `control`, both by name as in a model's `controls`, and read it back. Raises StationError, and nothing else."""
        ...

    def close(self) -> None:
        """Release the connection; a call still under way may fail."""
        ...
