"""The notifier on a disk that takes nothing: it goes on, and tells nothing twice."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from services.bus.clock import utc_now
from services.core.config.notifications import Kind, Notifications
from services.gateway.desk import Desk
from services.gateway.notify import memory as kept
from services.gateway.notify.memory import Memory, Waiting
from services.gateway.notify.notifier import GIVEN_UP, Notifier
from tests.support.waiting import wait_for

TARGET = "phone"


class Bus:
    def __init__(self) -> None:
        self.reports: list[str] = []

    def subscribe(self, *_: object) -> None:
        pass

    def report(self, message: str, **_: object) -> None:
        self.reports.append(message)

    async def wait_connected(self) -> None:
        await asyncio.Event().wait()


class Clock:
    async def sleep(self, _: float) -> None:
        await asyncio.sleep(0)


class House:
    """What a notifier needs of the desk."""

    def __init__(self, folder: Path) -> None:
        self.var = folder
        self.bus = Bus()
        self.clock = Clock()
        self.station = type("Station", (), {"station": "demo", "notifications": Notifications(to=(TARGET,))})()


class Sender:
    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, _target: str, title: str, _body: str, _kind: Kind) -> None:
        self.sent.append(title)


def waiting(**changes: Any) -> Waiting:
    made = Waiting(key="k", kind=Kind.DEVICE_LOST, title="relay p1: trouble", body="", made_at=utc_now(), target=TARGET)
    return made.model_copy(update=changes)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def notifier_of(house: House, one: Waiting, sender: Sender) -> Notifier:
    path = house.var / "notified.json"
    kept.save(path, Memory(waiting=(one,)))
    notifier = Notifier(cast("Desk", house), path)
    notifier.sender = cast("Any", sender)
    return notifier


@pytest.mark.timeout(20)
async def test_an_old_message_that_cannot_be_struck_off_does_not_hold_up_the_loop(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = Sender()
    notifier = notifier_of(house, waiting(made_at=utc_now() - GIVEN_UP - timedelta(minutes=1)), sender)
    monkeypatch.setattr(kept, "save", full)
    task = asyncio.create_task(notifier.run())
    await wait_for(lambda: notifier.waiting(TARGET) == 0 and bool(house.bus.reports))
    await end(task)
    assert sum("was given up" in report for report in house.bus.reports) == 1
    assert sender.sent == []


async def test_a_message_that_was_taken_is_not_sent_again_though_that_could_not_be_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, tries = Sender(), 0
    notifier = notifier_of(house, waiting(), sender)
    save = kept.save

    def full_once(path: Path, memory: Memory) -> None:
        nonlocal tries
        tries += 1
        if tries == 2:  # after it went out
            full(path, memory)
        save(path, memory)

    monkeypatch.setattr(kept, "save", full_once)
    task = asyncio.create_task(notifier.run())
    await wait_for(lambda: tries >= 2)
    for _ in range(50):
        await asyncio.sleep(0)
    await end(task)
    assert sender.sent == ["demo: relay p1: trouble"]


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
