"""What is particular to the Shelly drivers over real HTTP, to emulated devices and to servers that are no Shelly at all."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TypeVar

import pytest

from services.relay_bridge.drivers.shelly_gen1 import ShellyGen1
from services.relay_bridge.drivers.shelly_gen2 import ShellyGen2
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent
from tests.unit.relay_bridge.emulated import shelly

T = TypeVar("T")
TIMEOUT_S = 0.3


@contextmanager
def driver_of(address: str, channel: int = 0) -> Iterator[ShellyGen2]:
    driver = ShellyGen2(address, channel, TIMEOUT_S, time.monotonic)
    try:
        yield driver
    finally:
        driver.close()


async def away(call: Callable[[], T]) -> T:
    """Off the loop that the emulated device runs on."""
    return await asyncio.to_thread(call)


async def test_what_is_left_on_the_timer_falls_by_our_own_clock() -> None:
    now = 100.0
    async with shelly() as emulated:
        driver = ShellyGen2(emulated.address, 0, TIMEOUT_S, lambda: now)
        await away(partial(driver.set, on=False, timer_s=60.0))
        now = 112.0
        assert (await away(driver.status)).timer_s == 48.0
        driver.close()


async def test_a_channel_that_is_not_there_is_refused() -> None:
    async with shelly() as emulated:
        with driver_of(emulated.address, channel=1) as driver, pytest.raises(DeviceRefused, match="value 1 not found"):
            await away(driver.status)


async def test_the_first_generation_counts_in_whole_seconds_and_knows_no_channel_beyond_its_own() -> None:
    async with shelly(generation=1) as emulated:
        driver = ShellyGen1(emulated.address, 0, TIMEOUT_S)
        await away(partial(driver.set, on=False, timer_s=29.2))
        assert emulated.left_s == pytest.approx(30.0, abs=0.5)
        driver.close()
        beyond = ShellyGen1(emulated.address, 1, TIMEOUT_S)
        with pytest.raises(BadReply, match="one for channel 1"):
            await away(beyond.status)
        with pytest.raises(DeviceRefused, match="HTTP 404 to /relay/1"):
            await away(partial(beyond.set, on=False, timer_s=None))
        beyond.close()


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
