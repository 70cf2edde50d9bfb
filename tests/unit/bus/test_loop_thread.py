"""Blocking calls into a library that is asynchronous."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.bus.loop_thread import LoopThread, NotFinished


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread("under test")
    yield thread
    thread.close()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "under test"]


async def twice(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail() -> None:
    raise LookupError("no")


async def for_ever() -> None:
    await asyncio.Event().wait()


async def out_of_its_own_time() -> None:
    raise TimeoutError("its own")


def test_a_call_returns_or_raises_what_the_work_does(loop: LoopThread) -> None:
    assert loop.call(lambda: twice(21)) == 42
    with pytest.raises(LookupError):
        loop.call(fail)
    with pytest.raises(TimeoutError, match="its own"):
        loop.call(out_of_its_own_time, 1.0)


def test_a_call_that_takes_too_long_is_ended_and_the_next_one_works(loop: LoopThread) -> None:
    with pytest.raises(NotFinished, match=r"within 0\.05 s"):
        loop.call(for_ever, 0.05)
    assert loop.call(lambda: twice(1)) == 2


def test_closing_ends_the_call_under_way_and_the_thread_and_runs_the_last_wish(loop: LoopThread) -> None:
    started, finished = threading.Event(), []

    async def work() -> None:
        started.set()
        await for_ever()

    async def finish() -> None:
        finished.append(True)

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(loop.call, work)
        started.wait(5)
        loop.close(finish)
        with pytest.raises(NotFinished, match="closed"):
            call.result(5)
    assert finished == [True]
    assert not threads()
    with pytest.raises(NotFinished, match="closed"):
        loop.call(lambda: twice(1))
    loop.close(finish)
    assert finished == [True]


def test_without_a_call_there_is_no_thread(loop: LoopThread) -> None:
    assert not threads()
