"""The Kasa driver over KLAP, to an emulated plug that asks for an account."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TypeVar

import pytest

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.kasa import Kasa, connect
from services.relay_bridge.errors import DeviceError, DeviceRefused, DeviceSilent
from services.simulator.devices.faults import Faults
from services.simulator.devices.kasa_klap import KasaKlap
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import Load

T = TypeVar("T")
TIMEOUT_S = 0.5
ACCOUNT = "someone@example.org:pass:word"


async def away(call: Callable[[], T]) -> T:
    """Off the loop that the emulated device runs on."""
    return await asyncio.to_thread(call)


@contextmanager
def driver_of(plug: KasaKlap, account: str | None = ACCOUNT):
    configured = RelayDevice(driver="kasa", address=f"kasa://127.0.0.1:{plug.port}", timeout_s=TIMEOUT_S, secret="kasa")
    driver = connect(configured, time.monotonic, account)
    try:
        yield driver
    finally:
        driver.close()


@asynccontextmanager
async def klap() -> AsyncIterator[tuple[KasaKlap, Load]]:
    load = Load()
    plug = KasaKlap("p1", {0: Switch(load, SwitchConfig(initial_state="on"))}, account=ACCOUNT, host="127.0.0.1", port=0)
    await plug.start()
    try:
        yield plug, load
    finally:
        await plug.stop()


async def test_with_the_account_it_reads_switches_and_counts_down_as_without_klap() -> None:
    async with klap() as (plug, load):
        with driver_of(plug) as driver:
            status = await away(driver.status)
            assert (status.on, status.power_w, status.energy_wh) == (True, 120.0, 42.0)
            status = await away(partial(driver.set, on=False, timer_s=1.0))
            assert (status.on, status.timer_s) == (False, 1.0)
            assert not load.closed
            await wait_for(lambda: load.closed, what="the plug flips back")
            assert (await away(partial(driver.set, on=True, timer_s=None))).timer_s is None


async def test_the_wrong_account_is_refused_in_words_and_switches_nothing() -> None:
    async with klap() as (plug, load):
        with driver_of(plug, "someone@example.org:wrong") as driver:
            with pytest.raises(DeviceRefused, match="refused the account"):
                await away(partial(driver.set, on=False, timer_s=60.0))
            assert load.closed


async def test_without_the_secret_it_is_no_plug_at_all() -> None:
    async with klap() as (plug, _):
        driver = Kasa(f"kasa://127.0.0.1:{plug.port}", TIMEOUT_S)
        try:
            with pytest.raises(DeviceError):
                await away(driver.status)
        finally:
            await away(driver.close)


async def test_a_restart_that_ends_the_session_costs_no_call() -> None:
    async with klap() as (plug, _):
        with driver_of(plug) as driver:
            await away(driver.status)
            await plug.reboot()
            assert (await away(driver.status)).on


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(http_500=True), DeviceRefused),
        (Faults(silent=True), DeviceSilent),
        (Faults(refuse=True), DeviceSilent),
        (Faults(half=True), DeviceSilent),
        (Faults(delay_s=5), DeviceSilent),
        (Faults(nonsense=True), DeviceError),
    ],
    ids=["500", "silent", "refused connection", "half an answer", "too slow", "nonsense"],
)
async def test_every_fault_is_an_error_of_its_kind_and_the_next_call_works_again(faults: Faults, error: type[DeviceError]) -> None:
    async with klap() as (plug, _):
        with driver_of(plug) as driver:
            await away(driver.status)
            await plug.suffer(faults)
            with pytest.raises(error):
                await away(driver.status)
            await plug.suffer(Faults())
            assert (await away(partial(driver.set, on=True, timer_s=None))).on
