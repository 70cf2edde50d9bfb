"""Services side by side: one that fails is started again, and the others never notice."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from services.bus.clock import ManualClock, utc_now
from services.bus.runtime import Context
from services.cli.supervisor import LONGEST_WAIT_S, run_all, supervise
from services.core.config.load import parse_station


class RecordingClock(ManualClock):
    """Notes how long it was asked to wait."""

    def __init__(self):
        super().__init__(utc_now())
        self.waits = []

    async def sleep(self, seconds):
        self.waits.append(seconds)
        await super().sleep(seconds)


@pytest.fixture
def context(tmp_path):
    station = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
    return Context(station, RecordingClock(), tmp_path, random.Random(1))


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.parametrize("failure", [RuntimeError("broken"), SystemExit(3), None])
async def test_service_that_fails_is_started_again_and_the_others_run_on(context, failure):
    starts = Counter()
    seen_by_other = []
    stop = asyncio.Event()

    async def failing(_):
        starts["failing"] += 1
        if failure is not None:
            raise failure

    async def steady(_):
        starts["steady"] += 1
        while True:
            await asyncio.sleep(0)
            seen_by_other.append(starts["failing"])

    running = asyncio.create_task(run_all({"failing": failing, "steady": steady}, context, stop))
    await until(lambda: seen_by_other and seen_by_other[-1] >= 3)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert starts["steady"] == 1


async def test_wait_between_starts_grows_to_a_limit(context):
    async def failing(_):
        raise RuntimeError("broken")

    task = asyncio.create_task(supervise("failing", failing, context))
    await until(lambda: len(context.clock.waits) >= 10)
    task.cancel()
    waits = context.clock.waits
    assert waits[0] < 2
    assert all(wait <= LONGEST_WAIT_S * 1.2 for wait in waits)
    assert waits[9] > LONGEST_WAIT_S * 0.7


async def test_service_that_ran_well_for_long_is_started_again_at_once(context):
    async def fails_after_an_hour(_):
        context.clock.advance(3600)
        raise RuntimeError("broken")

    task = asyncio.create_task(supervise("late", fails_after_an_hour, context))
    await until(lambda: len(context.clock.waits) >= 5)
    task.cancel()
    assert all(wait < 2 for wait in context.clock.waits)


async def test_each_service_is_let_finish_when_stopping(context):
    finished = []

    async def careful(_):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            finished.append("safe")

    stop = asyncio.Event()
    running = asyncio.create_task(run_all({"one": careful, "two": careful}, context, stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert finished == ["safe", "safe"]


async def test_service_that_does_not_end_is_given_up_on(context, monkeypatch):
    monkeypatch.setattr("services.cli.supervisor.STOP_S", 0.05)

    async def stubborn(_):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if not stop.is_set() or len(cancelled) == 0:
                    cancelled.append(True)
                    continue
                raise

    cancelled = []
    stop = asyncio.Event()
    running = asyncio.create_task(run_all({"stubborn": stubborn}, context, stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 5)
