"""The clock steps by hours under a running controller: a passing error changes nothing, a lasting step neither fires nor loses an event."""

from datetime import UTC, datetime, timedelta

import pytest

from services.controller import steady
from services.controller.steady import BELIEVED_AFTER_S, follow, rewound
from services.core.event_book import Book
from services.core.events import EventStatus
from tests.support.controlling import controlled
from tests.support.waiting import wait_for
from tests.unit.controller.conftest import NOW, an_event

MOSQUITTO = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
HOUR = timedelta(hours=1)


class Wall:
    def __init__(self):
        self.off = timedelta(0)

    def __call__(self):
        return datetime.now(UTC) + self.off


async def some_cycles(house, count=3):
    """The reason told again and again: it is repeated every few seconds, and at once on news."""
    heard = len(house.commanded())
    await wait_for(lambda: len(house.commanded()) >= heard + count, 20, what="the controller to go on")


@pytest.fixture
def quick(monkeypatch):
    """Wishes are renewed, and steps believed, sooner than in life."""
    monkeypatch.setattr("services.controller.service.RENEW_S", 0.5)
    monkeypatch.setattr(steady, "BELIEVED_AFTER_S", 4.0)


@MOSQUITTO
@pytest.mark.parametrize("step", [3 * HOUR, -3 * HOUR, 48 * HOUR])
async def test_a_step_that_is_taken_back_neither_fires_nor_loses_a_scheduled_event(broker, plain, tmp_path, quick, step):
    wall = Wall()
    async with controlled(broker, plain, tmp_path, wall=wall) as house:
        start = (wall() + HOUR).isoformat()
        house.schedule("e1", start, duration="PT4H")
        await house.event_is("e1", "upcoming")
        told = len(plain.on("sps/demo/event/e1"))
        wall.off = step
        await some_cycles(house)
        wall.off = timedelta(0)
        await some_cycles(house)
        assert len(plain.on("sps/demo/event/e1")) == told, "nothing happened to the event"
        assert all(command["on"] for command in house.commanded()), "P1 never opened"
        assert any("clock stepped" in h.json["message"] for h in plain.on("sps/demo/service/controller/error"))


@MOSQUITTO
@pytest.mark.parametrize("step", [3 * HOUR, -3 * HOUR])
async def test_a_step_that_is_taken_back_does_not_disturb_an_ongoing_event(broker, plain, tmp_path, quick, step):
    wall = Wall()
    async with controlled(broker, plain, tmp_path, wall=wall) as house:
        house.schedule("e1", duration="PT1H")
        await house.goes(on=False)
        opened = len(house.commanded())
        wall.off = step
        await some_cycles(house)
        wall.off = timedelta(0)
        await some_cycles(house)
        assert not any(command["on"] for command in house.commanded()[opened:]), "the load was never handed back"
        await house.event_is("e1", "ongoing")


@MOSQUITTO
async def test_a_step_forward_that_lasts_brings_an_event_on_late_and_lets_a_missed_one_expire(broker, plain, tmp_path, quick):
    wall = Wall()
    async with controlled(broker, plain, tmp_path, wall=wall) as house:
        house.schedule("missed", (wall() + HOUR).isoformat(), duration="PT30M")
        house.schedule("late", (wall() + 2 * HOUR).isoformat(), duration="PT4H")
        await house.event_is("late", "upcoming")
        wall.off = 3 * HOUR
        await house.goes(on=False, timeout=20)
        await house.event_is("late", "ongoing")
        await house.event_is("missed", "expired")


@MOSQUITTO
async def test_a_fast_clock_set_right_gives_the_event_back_to_its_time(broker, plain, tmp_path, quick):
    wall = Wall()
    async with controlled(broker, plain, tmp_path, wall=wall) as house:
        house.schedule("e1", (wall() + timedelta(seconds=3)).isoformat(), duration="PT2H")
        await house.goes(on=False, timeout=20)
        wall.off = -3 * HOUR
        await house.goes(on=True, timeout=20)
        await house.event_is("e1", "upcoming")


def test_time_flows_on_through_a_step_and_takes_it_once_it_has_stood():
    state, step = follow(None, NOW, 0.0, 1.0)
    for second in range(1, int(BELIEVED_AFTER_S) + 1):
        state, step = follow(state, NOW + 3 * HOUR + timedelta(seconds=second), float(second), 1.0)
        assert step is None
        assert state.at == NOW + timedelta(seconds=second)
    state, step = follow(state, NOW + 3 * HOUR + timedelta(seconds=BELIEVED_AFTER_S + 1), BELIEVED_AFTER_S + 1, 1.0)
    assert step == 3 * HOUR
    assert state.at == NOW + 3 * HOUR + timedelta(seconds=BELIEVED_AFTER_S + 1)


def test_a_clock_that_keeps_jumping_is_never_believed():
    state, _ = follow(None, NOW, 0.0, 1.0)
    for second in range(1, 1000):
        state, step = follow(state, NOW + HOUR * (second % 7 + 1), float(second), 1.0)
        assert step is None
    assert state.at == NOW + timedelta(seconds=999)


def test_what_is_over_stays_over_and_what_was_begun_too_early_waits_again():
    ahead = {"start": NOW + 2 * HOUR}
    book = Book()
    for name, status in (
        ("a", EventStatus.ONGOING),
        ("b", EventStatus.EXPIRED),
        ("c", EventStatus.COMPLETED),
        ("d", EventStatus.CANCELLED),
    ):
        book = book.with_event(an_event(event_id=name, status=status, **ahead))
    statuses = {name: event.status for name, event in rewound(book, NOW).events.items()}
    assert statuses == {
        "a": EventStatus.UPCOMING,
        "b": EventStatus.UPCOMING,
        "c": EventStatus.COMPLETED,
        "d": EventStatus.CANCELLED,
    }
