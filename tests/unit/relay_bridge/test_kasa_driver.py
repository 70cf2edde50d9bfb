"""The Kasa driver, through python-kasa, over real TCP to an emulated plug, well and ill."""

import asyncio
import json
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import pytest

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.kasa import Kasa, connect, identify, identify_for
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent, NotCarriedOut
from services.simulator.devices.faults import Faults
from services.simulator.devices.kasa import encrypt
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated_kasa import EmulatedKasa, kasa_plug

T = TypeVar("T")
TIMEOUT_S = 0.3


@asynccontextmanager
async def pair(*, on: bool = True, metered: bool = True) -> AsyncIterator[tuple[EmulatedKasa, Kasa]]:
    async with kasa_plug(on=on, metered=metered) as plug:
        driver = connect(plug.configured(TIMEOUT_S), time.monotonic)
        try:
            yield plug, driver
        finally:
            await away(driver.close)


async def away(call: Callable[[], T]) -> T:
    """Off the loop that the emulated device runs on."""
    return await asyncio.to_thread(call)


async def test_reads_the_meter() -> None:
    async with pair() as (_, driver):
        status = await away(driver.status)
    assert (status.on, status.power_w, status.voltage_v, status.energy_wh, status.timer_s) == (True, 120.0, 230.0, 42.0, None)
    assert status.current_a == pytest.approx(0.522)


async def test_a_plug_without_a_meter_knows_its_state_alone() -> None:
    async with pair(metered=False) as (_, driver):
        status = await away(driver.status)
    assert (status.on, status.power_w, status.energy_wh) == (True, None, None)


async def test_the_unsafe_state_carries_a_countdown_that_really_flips_back() -> None:
    async with pair() as (plug, driver):
        status = await away(partial(driver.set, on=False, timer_s=1.0))
        assert (status.on, status.power_w, status.timer_s) == (False, 0.0, 1.0)
        assert not plug.load.closed
        await wait_for(lambda: plug.load.closed, what="the plug flips back")
        status = await away(driver.status)
        assert (status.on, status.timer_s) == (True, None)


async def test_a_renewal_starts_the_countdown_anew_and_the_safe_state_ends_it() -> None:
    async with pair() as (plug, driver):
        await away(partial(driver.set, on=False, timer_s=30.0))
        assert (await away(partial(driver.set, on=False, timer_s=60.0))).timer_s == 60.0
        assert plug.left_s == pytest.approx(60, abs=1)
        assert (await away(partial(driver.set, on=True, timer_s=None))).timer_s is None
        assert plug.left_s is None
        assert [closed for closed, _ in plug.load.moves][-2:] == [False, True], "renewing did not move the contact"


async def test_a_renewal_is_never_without_a_countdown_in_between() -> None:
    async with pair() as (plug, driver):
        await away(partial(driver.set, on=False, timer_s=60.0))
        cleared = 0

        def clear() -> None:
            nonlocal cleared
            cleared += 1

        plug.device.iot.countdown.clear = clear  # type: ignore[method-assign, assignment]
        await away(partial(driver.set, on=False, timer_s=60.0))
        assert cleared == 0


async def test_the_plug_counts_down_before_it_takes_the_unsafe_state() -> None:
    """Dying between the two must leave a plug that finds its safe state again."""
    async with pair() as (plug, driver):
        left_s: list[float | None] = []
        plug.switch.changed = lambda: left_s.append(plug.left_s)
        await away(partial(driver.set, on=False, timer_s=60.0))
        assert left_s == [pytest.approx(60, abs=1)]


async def test_somebody_elses_countdown_is_taken_over() -> None:
    async with pair() as (plug, driver):
        plug.device.iot.countdown.add({"enable": 1, "delay": 900, "act": 0, "name": "app"})
        assert (await away(driver.status)).timer_s == 900.0
        status = await away(partial(driver.set, on=False, timer_s=60.0))
        assert status.timer_s == 60.0


async def test_a_rule_that_vanished_since_it_was_seen_is_made_anew() -> None:
    async with pair() as (plug, driver):
        await away(partial(driver.set, on=False, timer_s=60.0))
        plug.device.iot.countdown.clear()
        assert (await away(partial(driver.set, on=False, timer_s=60.0))).timer_s == 60.0


async def test_without_a_timer_of_its_own_it_is_asked_for_none() -> None:
    async with pair() as (plug, driver):
        status = await away(partial(driver.set, on=False, timer_s=None))
        assert (status.on, status.timer_s, plug.left_s) == (False, None, None)


async def test_that_it_has_no_boot_state_is_told_once() -> None:
    async with pair() as (_, driver):
        with pytest.raises(DeviceRefused, match="cannot be told to be on after a power cut"):
            await away(partial(driver.ensure_boot_state, on=True))
        assert not await away(partial(driver.ensure_boot_state, on=True))


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(http_500=True), DeviceRefused),
        (Faults(nonsense=True), BadReply),
        (Faults(silent=True), DeviceSilent),
        (Faults(refuse=True), DeviceSilent),
        (Faults(half=True), DeviceSilent),
        (Faults(delay_s=5), DeviceSilent),
    ],
    ids=["error code", "nonsense", "silent", "refused connection", "half a frame", "too slow"],
)
@pytest.mark.parametrize("met_before", [False, True])
async def test_every_fault_is_an_error_of_its_kind_and_the_next_call_works_again(
    faults: Faults, error: type[DeviceError], met_before: bool
) -> None:
    async with pair() as (plug, driver):
        if met_before:
            await away(driver.status)
        await plug.suffer(faults)
        for call in (driver.status, partial(driver.set, on=False, timer_s=60.0)):
            started = time.monotonic()
            with pytest.raises(error):
                await away(call)
            assert time.monotonic() - started < 4 * TIMEOUT_S
        await plug.suffer(Faults())
        assert (await away(partial(driver.set, on=True, timer_s=None))).on


async def test_a_connection_that_died_meanwhile_costs_no_call() -> None:
    async with pair() as (plug, driver):
        await away(driver.status)
        await away(partial(driver.set, on=False, timer_s=60.0))
        await plug.device.reboot()
        assert (await away(driver.status)).timer_s is None
        assert (await away(partial(driver.set, on=True, timer_s=None))).on


async def test_a_plug_that_shows_another_state_than_was_set_is_caught_by_the_read_back() -> None:
    async with pair() as (plug, driver):
        await plug.suffer(Faults(wrong_state=True))
        with pytest.raises(NotCarriedOut, match="is on though off was set") as caught:
            await away(partial(driver.set, on=False, timer_s=60.0))
        assert caught.value.status is not None
        assert caught.value.status.on


async def test_a_welded_contact_shows_in_the_power() -> None:
    async with pair() as (plug, driver):
        await plug.suffer(Faults(welded=True))
        status = await away(partial(driver.set, on=False, timer_s=60.0))
        assert (status.on, status.power_w) == (False, 120.0)


async def test_closing_ends_a_call_under_way_and_leaves_no_thread() -> None:
    async with kasa_plug() as plug:
        driver = connect(plug.configured(5.0), time.monotonic)
        await plug.suffer(Faults(silent=True))
        call = asyncio.create_task(away(driver.status))
        await wait_for(lambda: any(thread.name.startswith("kasa ") for thread in threading.enumerate()))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await away(driver.close)
        with pytest.raises(DeviceSilent, match="closed"):
            await call
        assert time.monotonic() - started < 1.0
        with pytest.raises(DeviceSilent, match="closed"):
            await away(driver.status)
    await wait_for(lambda: not any(thread.name.startswith("kasa ") for thread in threading.enumerate()))


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[str]:
    """Answers anything with `answer`."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            while await reader.read(65536):
                writer.write(answer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"kasa://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in tasks:
            if task:
                task.cancel()


def framed(answer: object) -> bytes:
    body = encrypt(json.dumps(answer).encode())
    return struct.pack(">I", len(body)) + body


STRIP = {"system": {"get_sysinfo": {"err_code": 0, "feature": "TIM:ENE", "children": [{"id": "00"}, {"id": "01"}]}}}


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", DeviceSilent, "did not answer"),
        (framed([1, 2]), BadReply, "body is"),
        (framed({"system": {}}), BadReply, "system.get_sysinfo is None"),
        (framed({"system": {"get_sysinfo": 7}}), BadReply, "system.get_sysinfo is 7"),
        (framed(STRIP), DeviceRefused, "a strip of 2 sockets"),
    ],
    ids=["not Kasa", "a list", "empty", "a number", "a strip"],
)
async def test_servers_that_are_no_plug(answer: bytes, error: type[DeviceError], text: str) -> None:
    async with server(answer) as address:
        driver = Kasa(address, TIMEOUT_S)
        try:
            with pytest.raises(error, match=text):
                await away(driver.status)
        finally:
            await away(driver.close)


async def test_a_plug_is_known_by_its_id_unless_it_asks_for_an_account() -> None:
    async with kasa_plug(name="p1") as one, kasa_plug(name="p2") as other:
        ids = [await away(partial(identify, plug.address, TIMEOUT_S)) for plug in (one, other)]
        assert ids[0] != ids[1]
        assert await away(partial(identify, one.address, TIMEOUT_S)) == ids[0]
    assert identify_for(RelayDevice(driver="kasa", address="kasa://x")) is identify
    assert identify_for(RelayDevice(driver="kasa", address="kasa://x", secret="tp-link")) is None


@pytest.mark.parametrize("address", ["192.168.1.20", "http://192.168.1.20", "kasa://", "kasa://x/?a=1", "kasa://x:port", "kasa://x/api"])
def test_an_address_that_cannot_be_used_is_said_before_anything_starts(address: str) -> None:
    with pytest.raises(ValueError, match="use one such as 'kasa://"):
        Kasa(address, 1.0)


def test_a_channel_or_secret_that_cannot_be_used_is_said_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="channel 0 alone"):
        connect(RelayDevice(driver="kasa", address="kasa://x", channel=1), time.monotonic)
    with pytest.raises(ValueError, match="e-mail:password"):
        connect(RelayDevice(driver="kasa", address="kasa://x"), time.monotonic, "no colon")
