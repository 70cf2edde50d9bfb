"""Proves a relay's dead-man on the real device: switch it unsafe with its own timer, stop renewing, and watch it flip back.

For whoever runs `sps relay verify-deadman`, with the station stopped: a running bridge or any other controller would switch it back
first, which is noticed and counts as no proof. The proof is kept in `var/relay_bridge/verified.json`.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from services.bus.clock import Clock
from services.bus.state_file import read_state, write_atomic
from services.core.config.hardware import RelayDevice
from services.relay_bridge.driver import RelayDriver
from services.relay_bridge.errors import DeviceError, DeviceSilent, NotCarriedOut
from services.relay_bridge.holds import WELDED_W
from services.relay_bridge.status import Status, word

TIMER_S = 10.0
"""Long enough to tell it from a mere switching, short enough to stand by."""
EARLY_S = 1.5
LATE_S = 3.0
"""By so much a device may be off: some count in whole seconds, and we look now and then."""
WATCH_EVERY_S = 0.25
_RESTORES = 5
_PROOFS_FILE = "verified.json"

T = TypeVar("T")

log = logging.getLogger(__name__)


class NotProved(Exception):
    """The dead-man was not proved; says what happened and what to do."""


class Proof(BaseModel):
    """That one device flipped back by itself."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    driver: str
    address: str
    channel: int
    safe_on: bool
    timer_s: float
    flipped_after_s: float
    at: AwareDatetime


class Proofs(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True)

    proofs: dict[str, Proof] = {}
    """By position."""


async def verify_deadman(
    position: str,
    device: RelayDevice,
    driver: RelayDriver,
    *,
    safe_on: bool,
    clock: Clock,
    state_dir: Path,
    busy: Callable[[], str | None],
    timer_s: float = TIMER_S,
    tell: Callable[[str], None] = log.info,
) -> Proof:
    """Prove the dead-man of the relay at `position` and keep the proof in `state_dir`. Takes a little more than `timer_s` real seconds.

    `driver` comes from `making.driver_of`. `busy` says why it must not be done now, such as that an event runs; it is asked at each
    look. In every case, also when cancelled, the relay is set safe again in the end.

    Raises NotProved, or OSError when the proof cannot be kept.
    """
    _stop_if(busy)
    await _read(driver)
    at = clock.now()
    try:
        after_s = await _flips_after(driver, safe_on=safe_on, clock=clock, busy=busy, timer_s=timer_s, tell=tell)
    except DeviceError as error:
        raise NotProved(f"{error}; {error.remedy}") from error
    finally:
        await _restore(driver, safe_on, clock)
    proof = Proof(
        driver=device.driver, address=device.address, channel=device.channel, safe_on=safe_on,
        timer_s=timer_s, flipped_after_s=round(after_s, 2), at=at,
    )  # fmt: skip
    proofs = load_proofs(state_dir)
    write_atomic(
        state_dir / _PROOFS_FILE, proofs.model_copy(update={"proofs": {**proofs.proofs, position: proof}}).model_dump_json().encode()
    )
    return proof


def load_proofs(state_dir: Path) -> Proofs:
    """The proofs kept in `state_dir`; a file that cannot be used counts as none. Raises OSError."""
    data = read_state(state_dir / _PROOFS_FILE)
    with suppress(ValidationError):
        return Proofs.model_validate_json(data or b"{}")
    log.warning("%s cannot be used: prove the dead-men again", state_dir / _PROOFS_FILE)
    return Proofs()


def is_proved(proofs: Proofs, position: str, device: RelayDevice, *, safe_on: bool) -> bool:
    """Whether the device that `position` has now is the one whose dead-man was proved."""
    proof = proofs.proofs.get(position)
    return proof is not None and (proof.driver, proof.address, proof.channel, proof.safe_on) == (
        device.driver,
        device.address,
        device.channel,
        safe_on,
    )


async def _flips_after(
    driver: RelayDriver, *, safe_on: bool, clock: Clock, busy: Callable[[], str | None], timer_s: float, tell: Callable[[str], None]
) -> float:
    """Real seconds from the command to the flip. Raises NotProved or DeviceError."""
    started = clock.monotonic()
    try:
        status = await _in_thread(partial(driver.set, on=not safe_on, timer_s=timer_s))
    except NotCarriedOut as error:
        raise NotProved(f"switched {word(not safe_on)} with a timer of {timer_s:g} s, it {error}; {error.remedy}") from error
    tell(f"switched {word(not safe_on)}; its own timer must switch it {word(safe_on)} within {timer_s:g} s")
    while status.on != safe_on:
        await clock.sleep(WATCH_EVERY_S)
        _stop_if(busy)
        # One lost packet is no reason to begin again.
        with suppress(DeviceSilent):
            status = await _in_thread(driver.status)
        if clock.monotonic() - started > timer_s + LATE_S and status.on != safe_on:
            raise NotProved(f"still {word(not safe_on)} after {timer_s + LATE_S:g} s: its timer does not work; do not use this device here")
    after_s = clock.monotonic() - started
    if after_s < timer_s - EARLY_S:
        raise NotProved(
            f"flipped after {after_s:.1f} s already, not by its timer of {timer_s:g} s: something else switches it; stop the station"
        )
    if not status.on and status.power_w is not None and status.power_w > WELDED_W:
        status = await _in_thread(driver.status)
        if status.power_w is not None and status.power_w > WELDED_W:
            raise NotProved(f"says off, but {status.power_w:.0f} W flow: a welded contact; replace the device")
    tell(f"switched {word(safe_on)} by itself after {after_s:.1f} s")
    return after_s


async def _read(driver: RelayDriver) -> Status:
    try:
        return await _in_thread(driver.status)
    except DeviceError as error:
        raise NotProved(f"{error}; {error.remedy}") from error


async def _restore(driver: RelayDriver, safe_on: bool, clock: Clock) -> None:
    """Set the relay safe. Where that fails for good, its own timer is left."""
    for attempt in range(_RESTORES):
        try:
            await _in_thread(partial(driver.set, on=safe_on, timer_s=None))
        except DeviceError as error:
            log.warning("not set %s yet: %s", word(safe_on), error)
            await clock.sleep(0.2 * 2.0**attempt)
        else:
            return
    log.error("could not be set %s: look after it by hand", word(safe_on))


def _stop_if(busy: Callable[[], str | None]) -> None:
    if (why := busy()) is not None:
        raise NotProved(f"not now: {why}")


async def _in_thread(call: Callable[[], T]) -> T:
    """The result of `call`. Cancelled, it still waits for the call to end: a switching under way would undo the restoring that follows."""
    task = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(DeviceError):
            await task
        raise
