"""What the device tells by itself over its WebSocket, and what becomes of us when it does not."""

import asyncio
import hashlib
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.relay_bridge.drivers import shelly_push
from services.relay_bridge.drivers.shelly_push import listen, proof
from services.relay_bridge.errors import BadReply
from services.simulator.devices.faults import Faults
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import PASSWORD, Emulated, shelly, two_channels

TIMEOUT_S = 0.5


class Heard:
    """Counts what was told."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@asynccontextmanager
async def listening(emulated: Emulated, password: str | None = None) -> AsyncIterator[Heard]:
    heard = Heard()
    task = asyncio.create_task(listen(lambda: emulated.configured(TIMEOUT_S), password, heard))
    try:
        yield heard
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelly_push, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(shelly_push, "LONGEST_WAIT_S", 0.05)


@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_a_switch_at_the_wall_is_told(password: str | None) -> None:
    async with shelly(password=password) as emulated, listening(emulated, password) as heard:
        await wait_for(lambda: heard.times == 1, what="the first connection")
        emulated.switch.press()
        await wait_for(lambda: heard.times == 2, 1.0, what="the switch at the wall")
        emulated.switch.put(on=False, source="HTTP_in", toggle_after_s=0.1)
        await wait_for(lambda: heard.times == 4, 1.0, what="the command and the flip of its timer")


async def test_the_other_channel_is_none_of_its_business() -> None:
    async with two_channels() as (p1, p2), listening(p1) as first, listening(p2) as second:
        await wait_for(lambda: (first.times, second.times) == (1, 1))
        p2.switch.press()
        await wait_for(lambda: second.times == 2)
        assert first.times == 1


@pytest.mark.parametrize("password", [None, "falsch"])
async def test_a_wrong_password_is_said_once_and_tried_on(password: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async with shelly(password=PASSWORD) as emulated, listening(emulated, password) as heard:
        assert emulated.gen2.gate is not None
        gate = emulated.gen2.gate
        await wait_for(lambda: gate.challenges >= 3, what="further tries")
        emulated.switch.press()
        assert heard.times == 0
        assert PASSWORD not in caplog.text
        assert sum("does not tell changes" in record.message for record in caplog.records) == 1


async def test_a_lost_connection_is_made_again_and_may_have_missed_something() -> None:
    async with shelly() as emulated, listening(emulated) as heard:
        await wait_for(lambda: heard.times == 1)
        await emulated.device.drop_connections()
        await wait_for(lambda: heard.times == 2, what="told to look after the new connection")
        emulated.switch.press()
        await wait_for(lambda: heard.times == 3)


async def test_a_device_that_goes_silent_is_noticed_by_its_missing_pong(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shelly_push, "PING_EVERY_S", 0.1)
    caplog.set_level(logging.INFO)
    async with shelly() as emulated, listening(emulated) as heard:
        await wait_for(lambda: heard.times == 1)
        await emulated.suffer(Faults(silent=True))
        await wait_for(lambda: "does not tell changes" in caplog.text, what="the missing pong")
        await emulated.suffer(Faults())
        await wait_for(lambda: heard.times == 2, what="told again")
        assert "tells changes again" in caplog.text


async def test_it_follows_a_device_that_moved() -> None:
    async with shelly(name="same") as before, shelly(name="same") as after:
        where, heard = before, Heard()
        task = asyncio.create_task(listen(lambda: where.configured(TIMEOUT_S), None, heard))
        await wait_for(lambda: heard.times == 1)
        where = after
        await before.device.stop()
        await wait_for(lambda: heard.times == 2)
        after.switch.press()
        await wait_for(lambda: heard.times == 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_thousand_lost_connections_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelly_push, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(shelly_push, "LONGEST_WAIT_S", 0.002)

    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with shelly() as emulated, listening(emulated) as heard:
        await wait_for(lambda: heard.times == 1)
        tasks, open_files, threads = len(asyncio.all_tasks()), files(), threading.active_count()
        for number in range(1000):
            await emulated.device.drop_connections()
            await wait_for(lambda n=number: heard.times >= n + 2)  # type: ignore[misc]
        await wait_for(lambda: emulated.gen2.sockets.open == 1)
        await wait_for(lambda: len(asyncio.all_tasks()) <= tasks + 1, what="no tasks left behind")
        assert files() <= open_files + 2
        assert threading.active_count() == threads


def test_the_proof_is_the_documented_one() -> None:
    def sha256(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    challenge = {"auth_type": "digest", "nonce": 1625038762, "nc": 1, "realm": "shellypro4pm-f008d1d8b8b8", "algorithm": "SHA-256"}
    answer = proof(dict(challenge), "mypass")
    ha1 = sha256("admin:shellypro4pm-f008d1d8b8b8:mypass")
    assert answer["response"] == sha256(f"{ha1}:1625038762:1:{answer['cnonce']}:auth:{sha256('dummy_method:dummy_uri')}")
    assert (answer["username"], answer["realm"], answer["nonce"], answer["algorithm"]) == (
        "admin", "shellypro4pm-f008d1d8b8b8", 1625038762, "SHA-256",
    )  # fmt: skip
    for wrong in ({}, challenge | {"algorithm": "MD5"}, challenge | {"realm": None}, challenge | {"nonce": [1]}, challenge | {"nc": "x"}):
        with pytest.raises(BadReply):
            proof(dict(wrong), "mypass")
