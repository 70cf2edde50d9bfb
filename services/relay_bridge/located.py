"""A device that is known by its id, wherever it answers: found again after it moved, and never mistaken for another."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from services.bus.state_file import read_state, write_atomic
from services.core.config.hardware import RelayDevice
from services.relay_bridge.driver import RelayDriver
from services.relay_bridge.errors import DeviceError, DeviceRefused, DeviceSilent
from services.relay_bridge.registry import Identify
from services.relay_bridge.status import Status

T = TypeVar("T")

SEARCH_AFTER_S = 10.0
"""Real seconds of silence before a device is looked for elsewhere: a reboot is over by then."""
LONGEST_SEARCH_WAIT_S = 300.0
_PROBE_S = 1.0

Lookup = Callable[[str], Iterable[str]]
"""Base URLs at which the device with this id may be. It blocks."""

log = logging.getLogger(__name__)


class Known(BaseModel):
    """Who the device at a position is, as kept on disk."""

    model_config = ConfigDict(frozen=True)

    driver: str
    configured: str
    """The address in the station file then. Another one there means another device, perhaps."""
    id: str
    address: str
    """Where it answered last."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a device is reached, told apart and looked for. All of them block."""

    connect: Callable[[RelayDevice], RelayDriver]
    identify: Identify
    lookup: Lookup
    monotonic: Callable[[], float]
    moved: Callable[[str], None]
    """Called with the address, from whatever thread, when the device has been found elsewhere than the station file says."""


class Located:
    """A RelayDriver for `device`, remembered in `file`.

    Before the first call, and after each silence, it asks who answers. A stranger is not switched: its call is refused, in words that
    say what to do, and the known device is looked for.
    """

    def __init__(self, device: RelayDevice, ways: Ways, file: Path) -> None:
        """Sends nothing. Raises ValueError for an unusable address."""
        self._configured = device
        self._ways = ways
        self._file = file
        self._known = _read(file, device)
        self._device = device.model_copy(update={"address": self._known.address}) if self._known else device
        self._driver = ways.connect(self._device)
        self._lock = threading.Lock()
        self._recognised = False
        self._silent_since: float | None = None
        self._search_at = 0.0
        self._search_wait_s = SEARCH_AFTER_S
        if self._device.address != device.address:
            ways.moved(self._device.address)

    def status(self) -> Status:
        """See RelayDriver."""
        return self._ask(lambda driver: driver.status(), search=True)

    def set(self, *, on: bool, timer_s: float | None) -> Status:
        """See RelayDriver."""
        return self._ask(lambda driver: driver.set(on=on, timer_s=timer_s), search=False)

    def ensure_boot_state(self, *, on: bool) -> bool:
        """See RelayDriver."""
        return self._ask(lambda driver: driver.ensure_boot_state(on=on), search=True)

    def close(self) -> None:
        """See RelayDriver."""
        self._driver.close()

    def _ask(self, call: Callable[[RelayDriver], T], *, search: bool) -> T:
        try:
            self._recognise()
            answer = call(self._driver)
        except DeviceSilent:
            self._recognised = False
            if search:
                self._search()
            raise
        except Stranger:
            if search:
                self._search()
            raise
        self._silent_since = None
        return answer

    def _recognise(self) -> None:
        """Make sure of who answers. Raises Stranger or another DeviceError."""
        with self._lock:
            if self._recognised:
                return
            address = self._device.address
            found = self._ways.identify(address, self._device.timeout_s)
            if self._known is None or (self._known.id, self._known.address) != (found, address):
                if self._known is not None and self._known.id != found:
                    raise Stranger(address, found, self._known.id, self._file)
                self._remember(found, address)
            self._recognised = True

    def _search(self) -> None:
        """Look for the known device elsewhere, if it is time to."""
        now = self._ways.monotonic()
        if self._silent_since is None:
            self._silent_since, self._search_wait_s = now, SEARCH_AFTER_S
            self._search_at = now + self._search_wait_s
        if self._known is None or now < self._search_at:
            return
        self._search_wait_s = min(LONGEST_SEARCH_WAIT_S, self._search_wait_s * 2.0)
        self._search_at = now + self._search_wait_s
        places = [self._configured.address, *self._configured.also_at, *self._ways.lookup(self._known.id)]
        for address in dict.fromkeys(places):
            if address != self._device.address and self._is_at(address, self._known.id):
                self._move(address)
                return

    def _is_at(self, address: str, known_id: str) -> bool:
        try:
            return self._ways.identify(address, min(_PROBE_S, self._device.timeout_s)) == known_id
        except (DeviceError, ValueError):
            return False

    def _move(self, address: str) -> None:
        log.warning("%s, device %s: found again at %s", self._device.address, self._known.id if self._known else "", address)
        before = self._driver
        with self._lock:
            self._device = self._device.model_copy(update={"address": address})
            self._driver = self._ways.connect(self._device)
            self._recognised = False
        self._silent_since = None
        before.close()
        self._ways.moved(address)

    def _remember(self, found: str, address: str) -> None:
        self._known = Known(driver=self._configured.driver, configured=self._configured.address, id=found, address=address)
        try:
            write_atomic(self._file, self._known.model_dump_json().encode())
        except OSError as error:
            log.warning("%s: cannot be remembered in %s: %s", address, self._file, error.strerror)


class Stranger(DeviceRefused):
    """Another device answers than the one that is known."""

    def __init__(self, address: str, found: str, known: str, file: Path) -> None:
        super().__init__(f"another device ({found}) answers at {address} than the known one ({known})")
        self.remedy = f"give the known one its address back, or list its new one under also_at; if you replaced it, remove {file}"


def _read(file: Path, device: RelayDevice) -> Known | None:
    """What is remembered, as long as it is about the same line of the station file."""
    try:
        data = read_state(file)
        known = Known.model_validate_json(data) if data is not None else None
    except (OSError, ValidationError) as error:
        log.warning("%s cannot be used, and is made anew: %s", file, error)
        return None
    same = known is not None and (known.driver, known.configured) == (device.driver, device.address)
    return known if same else None
