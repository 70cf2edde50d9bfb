"""What the aggregator is told is told in the end, whatever the disk and the person do meanwhile."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.bus.clock import ManualClock
from services.bus.uplink.topics import NetworkTopics
from services.core.events import EventStatus
from services.core.preferences import SharingLevel
from services.gateway.aggregator_link.answers import Answers
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.inbox_store import InboxStore
from services.gateway.aggregator_link.judging import Signal
from services.gateway.aggregator_link.sent_log import SentLog
from tests.support.waiting import wait_for

NOW = datetime(2027, 7, 1, 12, 0, tzinfo=UTC)


class Line:
    """A connection that takes everything at once."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.up.set()
        self.sent: list[Any] = []

    def send(self, outgoing: Any) -> None:
        self.sent.append(outgoing)

    async def drained(self, _timeout_s: float) -> bool:
        await asyncio.sleep(0)
        return True


class World:
    """Answers about one event, with a log and a consent book of their own."""

    def __init__(self, folder):
        self.clock = ManualClock(NOW)
        self.store, self.consent, self.log = InboxStore(folder), ConsentBook(folder), SentLog(folder)
        self.consent.choose(SharingLevel.NONE, {}, NOW - timedelta(days=1))
        signal = Signal(id="e1", revision=0, action="schedule", start=NOW, form="json", sent=NOW, received=NOW, digest="d")
        self.store.take(signal, NOW)
        self.line = Line()
        self.answers = Answers(
            SimpleNamespace(zone=ZoneInfo("UTC")),  # type: ignore[arg-type]
            NetworkTopics("Borough"),
            "demo",
            ("json",),
            store=self.store,
            consent=self.consent,
            sent=self.log,
            clock=self.clock,
            receiver="mqtt://there",
            keep=lambda: None,
        )

    def event(self, status=EventStatus.SCHEDULED):
        event = SimpleNamespace(id="e1", revision=0, status=status, status_reason="", start=NOW)
        self.answers.on_event(SimpleNamespace(params={"event_id": "e1"}, message=event))  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def telling(self):
        task = asyncio.create_task(self.answers.tell(self.line))  # type: ignore[arg-type]
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def world(tmp_path):
    return World(tmp_path)


async def test_an_answer_that_could_not_be_noted_leaves_once_it_can(world, monkeypatch):
    begin, tried = world.log.begin, []

    def full(*arguments, **named):
        tried.append(None)
        if len(tried) < 3:
            raise OSError("database or disk is full")
        return begin(*arguments, **named)

    monkeypatch.setattr(world.log, "begin", full)
    world.event()
    async with world.telling():
        await wait_for(lambda: bool(world.line.sent))
        await wait_for(lambda: world.store.last("e1").answered == "0 scheduled ")
    assert (len(world.line.sent), len(world.log.page(None, 10))) == (1, 1)


async def test_a_choice_in_the_middle_of_an_answer_does_not_swallow_it(world, monkeypatch):
    begin = world.log.begin
    chosen = []

    def meanwhile(*arguments, **named):
        number = begin(*arguments, **named)
        if not chosen:
            chosen.append(None)
            world.consent.choose(SharingLevel.NONE, {"full.p1_w": False}, NOW)
        return number

    monkeypatch.setattr(world.log, "begin", meanwhile)
    world.event()
    async with world.telling():
        await wait_for(lambda: bool(world.line.sent), what="the answer under the new choice")
        await wait_for(lambda: world.store.last("e1").answered == "0 scheduled ")
    assert len(world.line.sent) == 1
