"""What is particular to the Kasa driver, through python-kasa, over real TCP to an emulated plug, well and ill."""

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import pytest

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.kasa import Kasa, connect, identify, identify_for
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent
from services.simulator.devices.kasa import encrypt
from tests.unit.relay_bridge.emulated_kasa import EmulatedKasa, kasa_plug
from tests.unit.relay_bridge.kinds import ACCOUNT

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


async def test_a_plug_without_a_meter_knows_its_state_alone() -> None:
    async with pair(metered=False) as (_, driver):
        status = await away(driver.status)
    assert (status.on, status.power_w, status.energy_wh) == (True, None, None)


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


async def test_the_wrong_account_is_refused_in_words_and_switches_nothing() -> None:
    async with kasa_plug(account=ACCOUNT) as plug:
        driver = connect(plug.configured(0.5), time.monotonic, "someone@example.org:wrong")
        with pytest.raises(DeviceRefused, match="refused the account"):
            await away(partial(driver.set, on=False, timer_s=60.0))
        assert plug.load.closed
        await away(driver.close)


async def test_without_its_account_a_plug_with_klap_is_no_plug_at_all() -> None:
    async with kasa_plug(account=ACCOUNT) as plug:
        driver = Kasa(plug.address, TIMEOUT_S)
        with pytest.raises(DeviceError):
            await away(driver.status)
        await away(driver.close)
