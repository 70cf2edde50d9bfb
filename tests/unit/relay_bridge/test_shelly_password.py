"""A device that asks for a password: SHA-256 digest from Gen2 on, Basic on Gen1."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import requests

from services.relay_bridge.driver import RelayDriver
from services.relay_bridge.drivers.shelly_http import identify
from services.relay_bridge.errors import DeviceRefused
from services.relay_bridge.registry import connect
from tests.support.house import get, post
from tests.unit.relay_bridge.emulated import PASSWORD, Emulated, shelly, two_channels

TIMEOUT_S = 1.0


@contextmanager
def driver_of(emulated: Emulated, password: str | None) -> Iterator[RelayDriver]:
    driver = connect(emulated.configured(TIMEOUT_S), time.monotonic, password)
    try:
        yield driver
    finally:
        driver.close()


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize(("password", "words"), [(None, "it wants a password"), ("falsch", "wrong password")])
async def test_without_it_nothing_is_switched_and_the_error_says_why(generation: int, password: str | None, words: str) -> None:
    async with shelly(generation=generation, password=PASSWORD) as emulated:
        with driver_of(emulated, password) as driver:
            with pytest.raises(DeviceRefused, match=f"HTTP 401 to .*: {words}") as caught:
                await asyncio.to_thread(partial(driver.set, on=False, timer_s=30.0))
            assert "password" in caught.value.remedy
            with pytest.raises(DeviceRefused):
                await asyncio.to_thread(driver.status)
        assert emulated.load.closed


@pytest.mark.parametrize("generation", [1, 2])
async def test_who_it_is_can_be_asked_without_a_password(generation: int) -> None:
    async with shelly(generation=generation, password=PASSWORD) as emulated:
        assert await asyncio.to_thread(identify, emulated.address, TIMEOUT_S) == emulated.device.mac
        if generation == 2:
            info = await post(f"{emulated.address}/rpc", {"id": 1, "method": "Shelly.GetDeviceInfo"})
            assert info.json()["result"]["auth_en"] is True
            assert (await get(f"{emulated.address}/rpc/Shelly.GetStatus")).status_code == 401


async def test_the_challenge_is_asked_once_and_a_stale_one_anew() -> None:
    async with shelly(password=PASSWORD) as emulated:
        assert emulated.gen2.gate is not None

        def ask(driver: RelayDriver, times: int) -> None:
            for _ in range(times):
                driver.status()

        with driver_of(emulated, PASSWORD) as driver:
            await asyncio.to_thread(ask, driver, 5)
            assert emulated.gen2.gate.challenges == 1
            emulated.gen2.gate.forget()
            await asyncio.to_thread(ask, driver, 1)


async def test_two_channels_are_polled_over_one_connection() -> None:
    async with two_channels(password=PASSWORD) as (p1, p2):
        with driver_of(p1, PASSWORD) as one, driver_of(p2, PASSWORD) as two:

            def alternately() -> list[bool]:
                return [driver.status().on for _ in range(20) for driver in (one, two)]

            first, second = await asyncio.gather(asyncio.to_thread(alternately), asyncio.to_thread(alternately))
            assert first == second == [True, False] * 20
            assert len(p1.device._server._connections) == 1
            await asyncio.to_thread(partial(two.set, on=True, timer_s=30.0))
            assert (p1.load.closed, p2.load.closed) == (True, True)
            assert (await asyncio.to_thread(one.status)).timer_s is None
            assert len(p1.device._server._connections) <= 3


async def test_the_digest_is_the_one_of_rfc_7616() -> None:
    """What an independent client, requests, makes of the emulator's challenge is what opens it."""
    async with shelly(password=PASSWORD) as emulated:
        url = f"{emulated.address}/rpc/Switch.GetStatus?id=0"
        auth = requests.auth.HTTPDigestAuth("admin", PASSWORD)
        assert (await get(url, auth=auth)).json()["output"] is True
        assert (await get(url, auth=requests.auth.HTTPDigestAuth("admin", "x"))).status_code == 401
        assert (await get(url, auth=requests.auth.HTTPDigestAuth("root", PASSWORD))).status_code == 401
        assert (await get(url)).headers["WWW-Authenticate"].endswith("algorithm=SHA-256")
