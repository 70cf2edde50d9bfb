"""What every relay driver promises (RelayDriver), each on its own wire to an emulated device, well and ill."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from services.relay_bridge.driver import RelayDriver
from services.relay_bridge.energy import count
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent, NotCarriedOut
from services.relay_bridge.registry import DRIVERS, connect
from services.relay_bridge.status import Status
from services.simulator.devices.faults import Faults
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.kinds import KINDS, AnyEmulated, Kind, lose_timers

pytestmark = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)

T = TypeVar("T")

SICK: dict[str, tuple[Faults, type[DeviceError], str]] = {
    "error": (Faults(http_500=True), DeviceRefused, "500|refused by the device"),
    "nonsense": (Faults(nonsense=True), BadReply, "body is|HTTP is"),
    "silent": (Faults(silent=True), DeviceSilent, "did not answer"),
    "refused connection": (Faults(refuse=True), DeviceSilent, "does not answer|did not answer|not heard or not connected"),
    "half a frame": (Faults(half=True), DeviceSilent, "does not answer|did not answer|broke off"),
    "too slow": (Faults(delay_s=5.0), DeviceSilent, "did not answer"),
}


@dataclass(frozen=True)
class Pair:
    """A device and its driver."""

    emulated: AnyEmulated
    driver: RelayDriver

    async def status(self) -> Status:
        return await away(self.driver.status)

    async def set(self, on: bool, timer_s: float | None) -> Status:
        return await away(partial(self.driver.set, on=on, timer_s=timer_s))

    async def ensure_boot_state(self, on: bool) -> bool:
        return await away(partial(self.driver.ensure_boot_state, on=on))


@asynccontextmanager
async def pair(kind: Kind, *, on: bool = True) -> AsyncIterator[Pair]:
    async with kind.make(on=on) as emulated:
        driver = connect(emulated.configured(kind.timeout_s), time.monotonic, kind.password)
        try:
            yield Pair(emulated, driver)
        finally:
            await away(driver.close)


async def away(call: Callable[[], T]) -> T:
    """Off the loop that the emulated device runs on."""
    return await asyncio.to_thread(call)


@contextmanager
def watched(condition: Callable[[], bool]) -> Iterator[None]:
    """`condition` holds at every turn of the loop that the emulated device runs on: between any two of the driver's requests."""
    held: list[bool] = []

    async def watch() -> None:
        while True:
            held.append(condition())
            await asyncio.sleep(0)

    task = asyncio.get_running_loop().create_task(watch())
    try:
        yield
    finally:
        task.cancel()
    assert held
    assert all(held)


async def test_reads_state_and_meter(kind: Kind) -> None:
    async with pair(kind) as here:
        status = await here.status()
        assert (status.on, status.power_w, status.voltage_v, status.timer_s) == (True, 120.0, kind.voltage_v, None)
        assert status.energy_wh == pytest.approx(kind.energy_wh)


async def test_setting_is_absolute_and_read_back(kind: Kind) -> None:
    """Asked twice for a state it is in that state: a lost answer may be asked for again."""
    async with pair(kind) as here:
        for on in (False, False, True, True, False):
            assert (await here.set(on, None)).on is on
            assert (here.emulated.load.closed, here.emulated.left_s) == (on, None)
        assert (await here.status()).power_w == 0.0


@pytest.mark.parametrize("safe", [True, False], ids=["P1", "P2"])
async def test_the_unsafe_state_is_never_without_its_timer_and_the_safe_one_ends_it(kind: Kind, safe: bool) -> None:
    async with pair(kind, on=safe) as here:
        emulated = here.emulated
        with watched(lambda: emulated.load.closed == safe or emulated.left_s is not None):
            assert (await here.set(not safe, 30.0)).timer_s == pytest.approx(30, abs=1)
            moves = len(emulated.load.moves)
            assert (await here.set(not safe, 60.0)).timer_s == pytest.approx(60, abs=1)
            assert emulated.left_s == pytest.approx(60, abs=1)
            await here.status()
            assert len(emulated.load.moves) == moves, "a renewal moves no contact"
        status = await here.set(safe, None)
        assert (status.on, status.timer_s, emulated.left_s) == (safe, None, None)


async def test_the_devices_own_timer_really_flips_it_back(kind: Kind) -> None:
    async with pair(kind) as here:
        await here.set(False, kind.shortest_timer_s)
        assert not here.emulated.load.closed
        await wait_for(lambda: here.emulated.load.closed, what="the device flips back")
        status = await here.status()
        assert (status.on, status.timer_s) == (True, None)


@pytest.mark.parametrize("safe", [True, False], ids=["P1", "P2"])
async def test_the_state_after_a_power_cut_is_set_and_read_back_once(kind: Kind, safe: bool) -> None:
    async with pair(kind, on=not safe) as here:
        if not kind.has_boot_state:
            with pytest.raises(DeviceRefused, match=f"cannot be told to be {'on' if safe else 'off'} after a power cut"):
                await here.ensure_boot_state(safe)
            assert not await here.ensure_boot_state(safe), "it is told once: there is nothing that anybody could change"
            return
        assert await here.ensure_boot_state(safe)
        assert not await here.ensure_boot_state(safe), "flash memory is not written again"
        await here.emulated.device.power(False)
        await here.emulated.device.power(True)
        assert here.emulated.load.closed is safe


async def test_a_reboot_costs_no_call_and_leaves_no_timer_that_is_only_believed(kind: Kind) -> None:
    async with pair(kind) as here:
        await here.set(False, 60.0)
        await here.emulated.device.reboot()
        with watched(lambda: here.emulated.left_s is None):
            status = await here.status()
        assert (status.on, status.timer_s) == (kind.has_boot_state, None)
        assert (await here.set(False, 60.0)).timer_s == pytest.approx(60, abs=1)


async def test_a_counter_that_starts_again_is_told_as_it_is_and_counted_on_from_where_it_was(kind: Kind) -> None:
    async with pair(kind) as here:
        first = await here.status()
        await here.emulated.suffer(Faults(counter_reset=True))
        reset = await here.status()
        here.emulated.load.energy_wh += 3.0
        after = await here.status()
        told = [first.energy_wh, reset.energy_wh, after.energy_wh]
        assert told == pytest.approx([kind.energy_wh, 0.0, 3.0], abs=0.02)
        counted = None
        totals = []
        for at, raw_wh in enumerate(told):
            assert raw_wh is not None
            counted = count(counted, raw_wh, float(at))
            totals.append(counted.total_wh)
        assert totals == pytest.approx([kind.energy_wh, kind.energy_wh, kind.energy_wh + 3.0], abs=0.02)


@pytest.mark.parametrize("sick", SICK)
async def test_a_sick_device_is_an_error_with_its_reason_in_time_and_the_next_call_works(kind: Kind, sick: str) -> None:
    """Whether it falls ill before the first call, or with connections open."""
    faults, error, reason = SICK[sick]
    async with pair(kind) as here:

        async def fails(call: Callable[[], Awaitable[object]]) -> None:
            started = time.monotonic()
            with pytest.raises(error, match=reason) as caught:
                await call()
            assert caught.value.remedy
            assert time.monotonic() - started < 6 * kind.timeout_s

        await here.emulated.suffer(faults)
        await fails(here.status)
        await here.emulated.suffer(Faults())
        assert (await here.status()).on
        assert (await here.set(True, None)).on
        await here.emulated.suffer(faults)
        await fails(lambda: here.set(False, 60.0))
        if kind.has_boot_state:
            await fails(lambda: here.ensure_boot_state(False))
        await here.emulated.suffer(Faults())
        assert (await here.set(True, None)).on


async def test_a_device_that_shows_another_state_than_was_set_is_caught_by_the_read_back(kind: Kind) -> None:
    async with pair(kind) as here:
        await here.emulated.suffer(Faults(wrong_state=True))
        with pytest.raises(NotCarriedOut, match="is on though off was set") as caught:
            await here.set(False, 60.0)
        assert caught.value.status is not None
        assert caught.value.status.on


async def test_a_device_that_runs_no_timer_is_caught_by_the_read_back(kind: Kind) -> None:
    async with pair(kind) as here:
        lose_timers(here.emulated)
        with pytest.raises(NotCarriedOut, match="is off, but runs no timer"):
            await here.set(False, 60.0)


async def test_a_welded_contact_shows_in_the_power(kind: Kind) -> None:
    async with pair(kind) as here:
        await here.emulated.suffer(Faults(welded=True))
        status = await here.set(False, 60.0)
        assert (status.on, status.power_w) == (False, 120.0)


async def test_a_command_and_a_poll_may_run_at_once(kind: Kind) -> None:
    async with pair(kind) as here:
        polled, commanded = await asyncio.gather(here.status(), here.set(False, 60.0))
        assert isinstance(polled.on, bool)
        assert not commanded.on


async def test_closing_hangs_up_and_leaves_no_thread_or_file_behind(kind: Kind) -> None:
    """Also with a call under way, which then ends within its own time-out."""
    async with kind.make() as emulated:
        files, threads = open_files(), driver_threads()
        driver = connect(emulated.configured(kind.timeout_s), time.monotonic, kind.password)
        await away(driver.status)
        await away(partial(driver.set, on=False, timer_s=60.0))
        await emulated.suffer(Faults(silent=True))
        call = asyncio.create_task(away(driver.status))
        await asyncio.sleep(kind.timeout_s / 4)
        started = time.monotonic()
        await away(driver.close)
        with pytest.raises(DeviceSilent):
            await call
        assert time.monotonic() - started < 4 * kind.timeout_s
        await away(driver.close)
        await wait_for(lambda: open_files() <= files and driver_threads() <= threads, what="all gone")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def driver_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def test_every_driver_is_held_to_this(kind: Kind) -> None:
    del kind
    assert {name.split(",", maxsplit=1)[0] for name in KINDS} == set(DRIVERS)
