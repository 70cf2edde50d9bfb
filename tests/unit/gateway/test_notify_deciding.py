"""What is told, and that nothing is told twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bus.messages.events import EventMessage, EventPerformance
from services.controller.reasons import _WORDS
from services.core.config.notifications import Kind
from services.core.config.policy import GoalSection
from services.core.events import EventStatus
from services.core.goals import GoalKind, Method
from services.core.preferences import Answer
from services.gateway.notify.deciding import BACK, CALM, CANNOT, FIGURES, LASTS, QUIET, Message, decide
from services.gateway.notify.facts import Device, Facts
from services.gateway.notify.memory import MOST_TOLD, Memory

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Paris")
SECOND = timedelta(seconds=1)


def event(status: EventStatus = EventStatus.SCHEDULED, **changes: object) -> EventMessage:
    made = EventMessage(
        ts=NOW,
        id="e1",
        revision=0,
        start=NOW + timedelta(hours=3),
        end=NOW + timedelta(hours=7),
        goal=GoalSection(kind=GoalKind.PLEDGE, reduction_w=150),
        methods=(Method.REPLACEMENT,),
        priority=0,
        status=status,
    )
    return made.model_copy(update=changes)


def result(*, final: bool = True, **changes: object) -> EventPerformance:
    made = EventPerformance(ts=NOW, event_id="e1", final=final, intervals=(), avoided_wh=412.0, reduction_wh=1380.0, covered=1.0)
    return made.model_copy(update=changes)


def of(*events: EventMessage, **changes: object) -> Facts:
    made = Facts(now=NOW, events={one.id: one for one in events}, performances={}, soc_pct=63.0, reserve_pct=20.0)
    return replace(made, **changes)  # type: ignore[arg-type]


class Teller:
    """Decides again and again, as the gateway does, with time that passes."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.wall = NOW
        self.told: list[Message] = []

    def see(self, facts: Facts, after: timedelta = SECOND) -> list[Message]:
        self.wall += after
        # Through its file form each time: whatever happens, a restart may come in between.
        self.memory = Memory.model_validate_json(self.memory.model_dump_json())
        self.memory, messages = decide(self.memory, facts, ZONE, self.wall)
        self.told += messages
        return list(messages)


def test_an_event_is_announced_started_and_finished_once_each_with_figures() -> None:
    teller = Teller()
    (announced,) = teller.see(of(event()))
    assert (announced.kind, announced.title) == (Kind.EVENT_ANNOUNCED, "Event announced")
    assert announced.body == "17:00 to 21:00: take 150 W less from the grid than usual. You take part, unless you opt out on the page."
    assert teller.see(of(event(EventStatus.UPCOMING))) == []
    (starting,) = teller.see(of(event(EventStatus.ONGOING)))
    assert (starting.kind, starting.body) == (
        Kind.EVENT_STARTING,
        "Until 21:00: take 150 W less from the grid than usual. The battery stands at 63 %.",
    )
    done = event(EventStatus.COMPLETED)
    assert teller.see(of(done, performances={"e1": result(final=False)})) == [], "the figures are not final yet"
    (finished,) = teller.see(of(done, performances={"e1": result(performance_factor=0.92)}))
    assert finished.kind is Kind.EVENT_FINISHED
    for figure in ("412 Wh", "1.38 kWh", "92 % of the pledge"):
        assert figure in finished.body
    assert teller.see(of(done, performances={"e1": result(avoided_wh=500.0)})) == []


def test_an_event_that_asks_says_until_when_and_what_holds_otherwise() -> None:
    asking = event(EventStatus.PENDING, answer_by=NOW + timedelta(hours=1), unanswered=Answer.DECLINE)
    (message,) = Teller().see(of(asking))
    assert "waits for your answer by 15:00; without one it is declined" in message.body


def test_an_amended_event_is_told_as_changed() -> None:
    teller = Teller()
    teller.see(of(event()))
    (changed,) = teller.see(of(event(revision=1, start=NOW + timedelta(hours=30), end=NOW + timedelta(hours=31))))
    assert (changed.title, "Thu 02 Jul 20:00" in changed.body) == ("Event changed", True)
    assert teller.see(of(event(revision=1))) == []


def test_an_event_that_starts_at_once_is_told_once() -> None:
    (message,) = Teller().see(of(event(EventStatus.ONGOING, start=NOW)))
    assert message.kind is Kind.EVENT_STARTING


def test_a_test_event_is_called_one() -> None:
    (message,) = Teller().see(of(event(test=True)))
    assert message.title == "Event announced (test)"


@pytest.mark.parametrize("status", [EventStatus.COMPLETED, EventStatus.CANCELLED, EventStatus.REFUSED, EventStatus.EXPIRED])
def test_what_was_over_before_we_ever_ran_is_not_news(status: EventStatus) -> None:
    old = event(status, start=NOW - timedelta(days=1), end=NOW - timedelta(hours=20))
    assert Teller().see(of(old, performances={"e1": result()})) == []


def test_a_refused_event_is_told_with_its_reason() -> None:
    (message,) = Teller().see(of(event(EventStatus.REFUSED, status_reason="it overlaps e0")))
    assert (message.kind, message.title) == (Kind.EVENT_CANNOT_BE_MET, "Event refused")
    assert "It overlaps e0." in message.body


def test_a_cancelled_event_is_told_to_whom_it_was_announced_and_opting_out_is_nobodys_news() -> None:
    teller = Teller()
    teller.see(of(event()))
    (message,) = teller.see(of(event(EventStatus.CANCELLED)))
    assert message.title == "Event cancelled"
    other = Teller()
    other.see(of(event()))
    assert other.see(of(event(EventStatus.OPTED_OUT))) == []


def test_figures_that_do_not_come_are_not_waited_for_for_ever() -> None:
    teller = Teller()
    teller.see(of(event()))
    assert teller.see(of(event(EventStatus.COMPLETED))) == []
    (message,) = teller.see(of(event(EventStatus.COMPLETED)), FIGURES)
    assert "not known yet" in message.body
    assert teller.see(of(event(EventStatus.COMPLETED), performances={"e1": result()})) == []


def test_unknown_figures_are_said_to_be_unknown() -> None:
    teller = Teller()
    teller.see(of(event()))
    (message,) = teller.see(of(event(EventStatus.COMPLETED), performances={"e1": result(avoided_wh=None, reduction_wh=None, covered=0.4)}))
    assert "not known" in message.body
    assert "40 %" in message.body
    assert "None" not in message.body


def test_an_event_that_cannot_be_held_is_told_once_it_has_lasted() -> None:
    teller = Teller()
    running = of(event(EventStatus.ONGOING), held_event="e1", reason_code="holding_part", reason="event: can hold 90 of 150 W")
    teller.see(running)
    assert teller.see(running, LASTS - 2 * SECOND) == []
    (message,) = teller.see(running, 2 * SECOND)
    assert (message.kind, "can hold 90 of 150 W" in message.body) == (Kind.EVENT_CANNOT_BE_MET, True)
    for _ in range(5):
        assert teller.see(replace(running, reason_code="holding"), BACK * 2) == []
        assert teller.see(running, LASTS * 2) == []


def test_the_controllers_reasons_are_ones_that_there_are() -> None:
    assert set(_WORDS) >= CANNOT


LOST = Device("relay/p1", "The relay at P1", True, "not answering")
BACK_AGAIN = replace(LOST, lost=False)
UNKNOWN = replace(LOST, lost=None)


def test_a_device_is_lost_after_a_while_and_told_once() -> None:
    teller = Teller()
    assert teller.see(of(devices=(LOST,))) == []
    (message,) = teller.see(of(devices=(LOST,)), LASTS)
    assert (message.title, message.body) == ("The relay at P1: trouble", "Not answering. For 2 min now.")
    for _ in range(10):
        assert teller.see(of(devices=(LOST,)), timedelta(hours=1)) == []


def test_a_short_loss_is_not_told_and_an_unknown_one_changes_nothing() -> None:
    teller = Teller()
    teller.see(of(devices=(LOST,)))
    teller.see(of(devices=(BACK_AGAIN,)), SECOND)
    teller.see(of(devices=(BACK_AGAIN,)), CALM)
    assert teller.see(of(devices=(LOST,)), LASTS) == []
    assert teller.see(of(devices=(UNKNOWN,)), LASTS) == []


def test_a_flapping_device_is_told_once() -> None:
    teller = Teller()
    for _ in range(400):
        teller.see(of(devices=(LOST,)), timedelta(seconds=20))
        teller.see(of(devices=(BACK_AGAIN,)), timedelta(seconds=20))
    assert len(teller.told) == 1


def test_a_device_that_came_back_for_good_may_be_told_again_but_not_within_the_quiet_time() -> None:
    teller = Teller()
    teller.see(of(devices=(LOST,)))
    teller.see(of(devices=(LOST,)), LASTS)
    teller.see(of(devices=(BACK_AGAIN,)), SECOND)
    teller.see(of(devices=(BACK_AGAIN,)), BACK)
    teller.see(of(devices=(LOST,)), SECOND)
    assert teller.see(of(devices=(LOST,)), LASTS) == [], "too soon"
    assert len(teller.see(of(devices=(LOST,)), QUIET)) == 1, "but not kept for ever"


def test_a_low_battery_is_told_and_again_only_after_it_has_recovered() -> None:
    teller = Teller()
    teller.see(of(soc_pct=19.4))
    (message,) = teller.see(of(soc_pct=17.0), LASTS)
    assert (message.kind, message.body) == (Kind.BATTERY_LOW, "It stands at 17 %, your backup reserve is 20 %.")
    for soc in (21.0, 19.0, 24.0, None, 19.0, 22.0):
        assert teller.see(of(soc_pct=soc), QUIET) == []
    teller.see(of(soc_pct=30.0))
    teller.see(of(soc_pct=30.0), BACK)
    teller.see(of(soc_pct=19.0))
    assert len(teller.see(of(soc_pct=19.0), LASTS)) == 1


def test_a_clock_that_is_set_back_repeats_nothing() -> None:
    teller = Teller()
    teller.see(of(event(), devices=(LOST,)))
    teller.see(of(event(), devices=(LOST,)), LASTS)
    teller.see(of(event(), devices=(LOST,)), -timedelta(days=400))
    assert len(teller.told) == 2


def test_the_memory_stays_bounded() -> None:
    memory = Memory()
    for n in range(MOST_TOLD + 20):
        memory = memory.with_told(f"event/{n}/announced", NOW + n * SECOND)
    memory, _ = decide(memory, of(), ZONE, NOW + timedelta(days=1))
    assert len(memory.told) == MOST_TOLD
    assert "event/0/announced" not in memory.told


def test_a_flood_of_events_is_told_once_and_not_over_and_over() -> None:
    teller = Teller()
    flood = of(*(event(id=f"e{n}") for n in range(MOST_TOLD)))
    assert len(teller.see(flood)) == MOST_TOLD
    assert teller.see(flood) == []


_STATUSES = st.sampled_from(list(EventStatus))
_STEPS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["e1", "e2", "e3"]), st.tuples(_STATUSES, st.integers(0, 2), st.booleans()), max_size=3),
        st.sampled_from([True, False, None]),
        st.one_of(st.none(), st.floats(0, 100)),
        st.sampled_from(["holding", "holding_part", "reserve_reached"]),
        st.integers(0, 3000),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(_STEPS)
def test_whatever_happens_nothing_is_told_twice(steps) -> None:
    teller = Teller()
    told_at: dict[str, datetime] = {}
    for events, lost, soc, code, seconds in steps:
        shown = {
            name: event(status, id=name, revision=revision, test=test, start=NOW - timedelta(hours=1))
            for name, (status, revision, test) in events.items()
        }
        facts = Facts(
            now=NOW,
            events=shown,
            performances={"e1": result()},
            devices=(replace(LOST, lost=lost),),
            soc_pct=soc,
            reserve_pct=20.0,
            held_event=next((name for name, one in shown.items() if one.status is EventStatus.ONGOING), None),
            reason_code=code,
            reason="because",
        )
        for message in teller.see(facts, timedelta(seconds=seconds)):
            if message.key.startswith("event/"):
                assert message.key not in told_at
            elif message.key in told_at:
                assert teller.wall - told_at[message.key] >= QUIET
            told_at[message.key] = teller.wall
            assert message.title
            assert message.body
            assert "None" not in message.body
        assert teller.see(facts, timedelta(0)) == [], "the same facts at once again are no news"
