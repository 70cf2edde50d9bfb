"""Event lists: at the same local time of some days, or from a file with errors that name the line."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.backtest.events import every, listed, parse_goal, within
from services.backtest.trace import BadTrace, Trace
from services.core.goals import Goal, GoalKind

PARIS = ZoneInfo("Europe/Paris")
# From a Monday on, over the change to summer time on Sunday 29 March.
TRACE = Trace(datetime(2026, 3, 23, 0, 0, tzinfo=UTC), 3600.0, [100.0] * (24 * 10))
GOAL = Goal(GoalKind.MINIMIZE)


def test_weekdays_at_a_local_time_also_over_daylight_saving():
    found = every("weekdays", "16:00", "PT4H", TRACE, GOAL, PARIS)
    assert [event.start.astimezone(PARIS).strftime("%a %H") for event in found] == [
        f"{d} 16" for d in ["Mon", "Tue", "Wed", "Thu", "Fri", "Mon", "Tue", "Wed"]
    ]
    assert {event.start.hour for event in found} == {15, 14}


def test_single_days_and_lists_of_them():
    assert len(every("sun,wed", "10:00", "2", TRACE, GOAL, PARIS)) == 3
    assert len(every("days", "10:00", "PT30M", TRACE, GOAL, PARIS)) == 10


@pytest.mark.parametrize(
    ("days", "at", "length"), [("funday", "10:00", "1"), ("days", "25:00", "1"), ("days", "10:00", "P2D"), ("days", "10:00", "x")]
)
def test_what_is_wrong_is_said(days, at, length):
    with pytest.raises(ValueError, match="use"):
        every(days, at, length, TRACE, GOAL, PARIS)


@pytest.mark.parametrize(
    ("text", "goal"),
    [("minimize", GOAL), ("pledge 150", Goal(GoalKind.PLEDGE, 150.0)), ("Limit:90.5", Goal(GoalKind.LIMIT, 90.5))],
)
def test_goals_as_they_are_typed(text, goal):
    assert parse_goal(text) == goal


@pytest.mark.parametrize("text", ["", "pledge", "minimize 3", "pledge -1", "pledge nan", "most"])
def test_a_goal_that_is_none_says_what_would_be(text):
    with pytest.raises(ValueError, match="pledge 150"):
        parse_goal(text)


def test_a_list_with_local_and_absolute_times_and_goals_of_its_own():
    found = listed(["start,duration,goal,id", "2026-03-24T16:00,PT2H,pledge 50,one", "2026-03-23T12:00Z,1,,"], GOAL, PARIS)
    assert [(event.id, event.start.hour, event.goal.kind) for event in found] == [("20260323-1300", 12, "minimize"), ("one", 15, "pledge")]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (["start", "2026-03-24T16:00"], 1),
        (["start,duration", "2026-03-24T16:00,PT2H", "soon,PT2H"], 3),
        (["start,duration", "2026-03-24T16:00,0"], 2),
        (["start,duration,goal", "2026-03-24T16:00,PT2H,win"], 2),
        (["start,duration", "2026-03-24T16:00,PT2H", "2026-03-24T17:00,PT2H"], 3),
    ],
)
def test_a_list_that_is_wrong_names_the_line(rows, line):
    with pytest.raises(BadTrace) as error:
        listed(rows, GOAL, PARIS)
    assert error.value.line == line


def test_events_outside_the_trace_are_left_out():
    found = listed(["start,duration", "2026-03-22T16:00,PT2H", "2026-03-24T16:00,PT2H", "2026-04-02T01:00,PT2H"], GOAL, PARIS)
    assert len(within(found, TRACE)) == 1
