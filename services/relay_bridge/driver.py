"""What the bridge asks of a device family."""

from typing import Protocol

from services.relay_bridge.status import Status


class RelayDriver(Protocol):
    """One relay. Every call blocks, for a few of the device's time-outs at most, and raises only `DeviceError`.

    `set` may run in one thread while `status` or `ensure_boot_state` runs in another, so that a command never waits
    behind a slow poll; neither is called twice at once.
    """

    def status(self) -> Status:
        """Read the relay."""
        ...

    def set(self, *, on: bool, timer_s: float | None) -> Status:
        """Take the state `on`, and after `timer_s` flip back; None cancels a running timer.

        Returns the read-back. Raises NotCarriedOut, with the read-back, when it shows something else.
        """
        ...

    def ensure_boot_state(self, *, on: bool) -> bool:
        """Make `on` the state after a power cut; True when it had to be changed. Read back; raises NotCarriedOut."""
        ...

    def close(self) -> None:
        """Release the connections; a call still under way may fail."""
        ...
