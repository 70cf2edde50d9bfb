"""How a promise is reckoned: means over the time that is known, for each kind of goal."""

from datetime import UTC, datetime, timedelta

import pytest

from services.bus.messages.events import PerformanceInterval
from services.core.config.policy import GoalSection
from services.core.events import EventStatus
from services.core.goals import GoalKind
from services.gateway.models import EventView
from services.gateway.pages import promise

START = datetime(2026, 7, 1, 16, tzinfo=UTC)


def interval(
    hour: int, baseline_wh: float | None, import_wh: float | None, *, minutes: float = 60, covered: float = 1.0
) -> PerformanceInterval:
    start = START + timedelta(hours=hour)
    reduction = None if baseline_wh is None or import_wh is None else baseline_wh - import_wh
    return PerformanceInterval(
        start=start,
        end=start + timedelta(minutes=minutes),
        baseline_wh=baseline_wh,
        import_wh=import_wh,
        avoided_wh=None,
        pv_wh=None,
        reduction_wh=reduction,
        covered=covered,
    )


def event(goal: GoalSection, *intervals: PerformanceInterval) -> EventView:
    return EventView(
        id="e",
        revision=0,
        start=START,
        end=START + timedelta(hours=4),
        goal=goal,
        methods=(),
        priority=0,
        status=EventStatus.ONGOING,
        status_reason="",
        test=False,
        avoided_wh=None,
        reduction_wh=None,
        covered=None,
        final=False,
        answer_by=None,
        unanswered=None,
        flags=(),
        intervals=intervals,
    )


PLEDGE = GoalSection(kind=GoalKind.PLEDGE, reduction_w=150)
LIMIT = GoalSection(kind=GoalKind.LIMIT, import_w=100)
MINIMIZE = GoalSection(kind=GoalKind.MINIMIZE)


def test_a_pledge_is_kept_by_the_reduction_in_watts_also_within_an_hour() -> None:
    running = event(PLEDGE, interval(0, 300, 150), interval(1, 150, 90, minutes=30))
    kept = promise.so_far(running)
    assert kept is not None
    assert (kept.asked_w, kept.kept_w) == (150, pytest.approx(140))
    assert kept.kept_pct == pytest.approx(140 / 150 * 100)
    assert [one.kept_w for one in promise.hour_by_hour(running)] == [
        150,
        120,
    ]


@pytest.mark.parametrize(("import_wh", "pct"), [(80.0, 100.0), (100.0, 100.0), (200.0, 50.0)])
def test_a_limit_is_kept_while_the_import_is_below_it(import_wh: float, pct: float) -> None:
    kept = promise.so_far(event(LIMIT, interval(0, None, import_wh)))
    assert kept is not None
    assert (kept.asked_w, kept.kept_w, kept.kept_pct) == (100, import_wh, pct)


def test_as_little_as_possible_is_measured_by_what_is_usual() -> None:
    kept = promise.so_far(event(MINIMIZE, interval(0, 400, 100)))
    assert kept is not None
    assert (kept.asked_w, kept.kept_w, kept.kept_pct) == (400, 300, 75)


def test_an_hour_without_readings_is_unknown_and_not_zero() -> None:
    hole = event(PLEDGE, interval(0, 300, None, covered=0.2), interval(1, 300, 150))
    kept = promise.so_far(hole)
    assert kept is not None
    assert (kept.kept_w, kept.covered) == (150, 0.6)
    assert [one.kept_pct for one in promise.hour_by_hour(hole)] == [None, 100]
    unknown = promise.so_far(event(PLEDGE, interval(0, None, None, covered=0)))
    assert unknown is not None
    assert (unknown.kept_w, unknown.kept_pct) == (None, None)


def test_before_the_first_reading_there_is_nothing() -> None:
    assert promise.so_far(event(PLEDGE)) is None
    assert promise.so_far(event(PLEDGE, interval(0, 0, 0, minutes=0))) is None
