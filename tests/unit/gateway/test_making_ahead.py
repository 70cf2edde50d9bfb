"""Batches are made before they are wanted, in their order, and no further than told."""

import asyncio

import pytest

from services.core.consent import ALWAYS
from services.gateway.aggregator_link.collecting import Batch
from services.gateway.aggregator_link.making_ahead import AHEAD, MakingAhead
from services.gateway.aggregator_link.packing import Packed
from services.gateway.aggregator_link.positions import Place
from services.gateway.problems import ApiError, Problem
from tests.support.waiting import wait_for


class Line:
    """Makes batches 1 to 5 from places; one of them may not be made."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.asked: list[int] = []
        self._fails_at = fails_at

    async def collect(self, place: Place | None) -> Batch | None:
        number = 1 + (int(place.cursor) if place is not None and place.cursor else 0)
        self.asked.append(number)
        await asyncio.sleep(0)
        if number == self._fails_at:
            raise ApiError(503, Problem(message="the recorder does not answer"))
        return made(number)


def made(number: int) -> Batch:
    return Batch("full", 1, 1, Packed.of(b""), f"key-{number}", Place(begins=ALWAYS, cursor=str(number)), more=number < 5)


async def test_they_come_in_order_and_two_are_made_before_they_are_wanted() -> None:
    line = Line()
    making = MakingAhead(line.collect, None)
    assert (await making.next()) == made(1)
    await wait_for(lambda: len(line.asked) == 1 + AHEAD, what="those ahead to be made")
    assert [await making.next() for _ in range(5)] == [made(2), made(3), made(4), made(5), None]
    assert line.asked == [1, 2, 3, 4, 5], "each once, and none after the last"
    await making.close()


async def test_one_that_is_there_already_is_the_first() -> None:
    line = Line()
    making = MakingAhead(line.collect, None, made(3))
    assert [await making.next() for _ in range(4)] == [made(3), made(4), made(5), None]
    assert line.asked == [4, 5]
    await making.close()


async def test_what_cannot_be_made_is_told_when_its_turn_comes_and_closing_waits_for_nobody() -> None:
    line = Line(fails_at=3)
    making = MakingAhead(line.collect, None)
    assert [await making.next(), await making.next()] == [made(1), made(2)]
    with pytest.raises(ApiError):
        await making.next()
    await making.close()
    assert line.asked == [1, 2, 3]
