"""The Shelly driver over real HTTP to an emulated device, well and ill, and to servers that are no Shelly at all."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TypeVar

import pytest

from services.relay_bridge.drivers.shelly_gen2 import ShellyGen2, connect
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent, NotCarriedOut
from services.simulator.devices.faults import Faults
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import Emulated, shelly

T = TypeVar("T")
TIMEOUT_S = 0.3


@contextmanager
def driver_of(address: str, channel: int = 0) -> Iterator[ShellyGen2]:
    driver = ShellyGen2(address, channel, TIMEOUT_S, time.monotonic)
    try:
        yield driver
    finally:
        driver.close()


@asynccontextmanager
async def pair(*, on: bool = True) -> AsyncIterator[tuple[Emulated, ShellyGen2]]:
    async with shelly(on=on) as emulated:
        driver = connect(emulated.configured(TIMEOUT_S), time.monotonic)
        try:
            yield emulated, driver
        finally:
            driver.close()


async def away(call: Callable[[], T]) -> T:
    """Off the loop that the emulated device runs on."""
    return await asyncio.to_thread(call)


async def test_reads_the_meter() -> None:
    async with pair() as (_, driver):
        status = await away(driver.status)
    assert (status.on, status.power_w, status.voltage_v, status.energy_wh, status.timer_s) == (True, 120.0, 230.0, 42.5, None)


async def test_the_unsafe_state_carries_a_timer_that_really_flips_back() -> None:
    async with pair() as (emulated, driver):
        status = await away(partial(driver.set, on=False, timer_s=0.3))
        assert (status.on, status.power_w) == (False, 0.0)
        assert status.timer_s == pytest.approx(0.3, abs=0.05)
        assert not emulated.load.closed
        await wait_for(lambda: emulated.load.closed, what="the device flips back")
        assert (await away(driver.status)).timer_s is None


async def test_setting_again_starts_the_timer_anew_and_the_safe_state_cancels_it() -> None:
    async with pair() as (emulated, driver):
        await away(partial(driver.set, on=False, timer_s=30.0))
        left_s = (await away(partial(driver.set, on=False, timer_s=60.0))).timer_s
        assert left_s == pytest.approx(60, abs=1)
        assert emulated.switch.timer_left_s == pytest.approx(60, abs=1)
        assert (await away(partial(driver.set, on=True, timer_s=None))).timer_s is None
        assert emulated.switch.timer_left_s is None


async def test_what_is_left_on_the_timer_falls_by_our_own_clock() -> None:
    now = 100.0
    async with shelly() as emulated:
        driver = ShellyGen2(emulated.address, 0, TIMEOUT_S, lambda: now)
        await away(partial(driver.set, on=False, timer_s=60.0))
        now = 112.0
        assert (await away(driver.status)).timer_s == 48.0
        driver.close()


async def test_the_boot_state_is_written_only_when_it_differs() -> None:
    async with pair(on=False) as (emulated, driver):
        assert await away(partial(driver.ensure_boot_state, on=True))
        assert emulated.switch.config.initial_state == "on"
        assert not await away(partial(driver.ensure_boot_state, on=True))


async def test_a_channel_that_is_not_there_is_refused() -> None:
    async with shelly() as emulated:
        with driver_of(emulated.address, channel=1) as driver, pytest.raises(DeviceRefused, match="value 1 not found"):
            await away(driver.status)


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
    ids=["500", "nonsense", "silent", "refused connection", "half an answer", "too slow"],
)
async def test_every_fault_is_an_error_of_its_kind_and_the_next_call_works_again(faults: Faults, error: type[DeviceError]) -> None:
    async with pair() as (emulated, driver):
        await away(driver.status)
        await emulated.suffer(faults)
        for call in (driver.status, partial(driver.set, on=False, timer_s=60.0), partial(driver.ensure_boot_state, on=True)):
            started = time.monotonic()
            with pytest.raises(error):
                await away(call)
            assert time.monotonic() - started < 4 * TIMEOUT_S
        await emulated.suffer(Faults())
        assert (await away(partial(driver.set, on=True, timer_s=None))).on


async def test_a_reboot_between_two_calls_costs_no_more_than_one_of_them() -> None:
    async with pair() as (emulated, driver):
        await away(partial(driver.set, on=False, timer_s=60.0))
        await emulated.device.power(False)
        with pytest.raises(DeviceSilent):
            await away(driver.status)
        await emulated.device.power(True)
        status = await away(driver.status)
        assert (status.on, status.timer_s) == (True, None)


async def test_a_device_that_shows_another_state_than_was_set_is_caught_by_the_read_back() -> None:
    async with pair() as (emulated, driver):
        await emulated.suffer(Faults(wrong_state=True))
        with pytest.raises(NotCarriedOut, match="is on though off was set") as caught:
            await away(partial(driver.set, on=False, timer_s=60.0))
        assert caught.value.status is not None
        assert caught.value.status.on


async def test_a_welded_contact_shows_in_the_power() -> None:
    async with pair() as (emulated, driver):
        await emulated.suffer(Faults(welded=True))
        status = await away(partial(driver.set, on=False, timer_s=60.0))
        assert (status.on, status.power_w) == (False, 120.0)


@asynccontextmanager
async def server(*pieces: bytes, every_s: float = 0.0) -> AsyncIterator[str]:
    """Answers anything with `pieces`, one by one, and keeps the connection open."""
    connected: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.add(asyncio.current_task())
        try:
            while await reader.read(65536):
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(every_s)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in connected:
            if task:
                task.cancel()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]).encode() + body


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", BadReply, "HTTP"),
        (http(b"x" * 100_000), BadReply, "at most 65536 bytes"),
        (http(b"", "Location: http://127.0.0.1:1/", status="302 Found"), DeviceRefused, "HTTP 302"),
        (http(b"", 'WWW-Authenticate: Digest realm="x"', status="401 Unauthorized"), DeviceRefused, "HTTP 401"),
        (http(b'{"id": 999, "result": {"output": true}}'), BadReply, "id is 999"),
        (http(b'{"id": 1, "result": {"output": true, "apower": NaN}}'), BadReply, "NaN is no number"),
        (http(b"\x1f\x8b broken", "Content-Encoding: gzip"), BadReply, "body"),
    ],
    ids=["not HTTP", "endless", "redirect", "password", "another's reply", "NaN", "broken compression"],
)
async def test_servers_that_are_no_shelly(answer: bytes, error: type[DeviceError], text: str) -> None:
    async with server(answer) as address:
        with driver_of(address) as driver, pytest.raises(error, match=text):
            await away(driver.status)


async def test_an_answer_that_drips_ends_at_its_deadline() -> None:
    """Each byte comes within the socket's time-out; only the deadline of the whole ends it."""
    drops = [b"x"] * 100
    async with server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *drops, every_s=TIMEOUT_S / 3) as address:
        started = time.monotonic()
        with driver_of(address) as driver, pytest.raises(DeviceSilent, match="did not finish"):
            await away(driver.status)
        assert time.monotonic() - started < 3 * TIMEOUT_S


@pytest.mark.parametrize("address", ["192.168.1.20", "https://192.168.1.20", "http://", "ftp://x", "http://x/?a=1"])
def test_an_address_that_cannot_be_used_is_said_before_anything_starts(address: str) -> None:
    with pytest.raises(ValueError, match="use a base URL such as"):
        ShellyGen2(address, 0, 1.0, time.monotonic)
