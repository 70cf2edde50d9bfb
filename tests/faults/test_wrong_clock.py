"""A board that starts with a clock known to be wrong: nothing is recorded or decided, it says so, and goes on once the clock is set."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from services.bus import client
from services.bus.clock import SystemClock
from services.bus.runtime import Context
from services.controller.service import run as control
from services.core.config.load import parse_station
from services.recorder.journal import FILE_NAME, Journal
from services.recorder.service import run as record
from tests.support.played_house import station_text
from tests.support.waiting import wait_for

ROOT = "sps/demo/"


class Wall:
    """The board's clock: behind by `behind` until it is set."""

    def __init__(self, behind: timedelta) -> None:
        self._behind = behind

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self._behind

    def set_right(self) -> None:
        self._behind = timedelta(0)


def says(plain, service: str, what: str) -> bool:
    """Whether it is in the service's latest status."""
    said = plain.on(f"{ROOT}service/{service}/status")
    return bool(said) and what in said[-1].json["detail"]


def goes_on(plain, service: str) -> bool:
    return not says(plain, service, "waits for")


@pytest.fixture
def hurried(monkeypatch):
    """What is said every ten seconds is said at once."""
    monkeypatch.setattr(client, "CLOCK_NOTICE_S", 0.1)


@pytest.mark.parametrize("behind", [timedelta(days=20_000), timedelta(hours=9)], ids=["1970", "as at the last power cut"])
async def test_nothing_is_recorded_or_decided_before_the_clock_is_set(broker, plain, tmp_path, hurried, behind) -> None:
    wall = Wall(behind)
    clock = SystemClock(wall, not_before=datetime.now(UTC) - timedelta(hours=1))
    context = Context(parse_station(station_text(broker.port)), clock, tmp_path, random.Random(1))
    tasks = [asyncio.create_task(service(context)) for service in (record, control)]
    try:
        for service in ("recorder", "controller"):
            await wait_for(partial(says, plain, service, "waits for the system clock to be set: it says"), what=f"{service} waits")
        for power_w in range(20):
            plain.publish(f"{ROOT}position/p1/reading", {"ts": datetime.now(UTC).isoformat(), "power_w": power_w, "device": "test"})
        plain.publish(f"{ROOT}event/command", {"start": "now", "duration": "PT1H", "id": "too-early"})
        assert not plain.on(f"{ROOT}controller/state")
        assert not plain.on(f"{ROOT}recorder/committed")
        assert not [heard for heard in plain.heard if "/command" in heard.topic and "relay" in heard.topic]
        wall.set_right()
        await wait_for(lambda: plain.on(f"{ROOT}controller/state"), 15, what="a decision")
        for service in ("recorder", "controller"):
            await wait_for(partial(goes_on, plain, service), what=f"{service} goes on")
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    journal = Journal(tmp_path / "recorder" / FILE_NAME)
    first = journal.ask("SELECT min(ts) FROM state")[0][0]
    journal.close()
    assert first is None or datetime.fromtimestamp(first / 1000, UTC) > datetime.now(UTC) - timedelta(minutes=5)
