from datetime import UTC, datetime, timedelta

import pytest

from services.bus.messages.events import EventMessage
from services.core.config.policy import GoalSection
from services.core.events import EventStatus
from services.core.goals import GoalKind, Method
from services.recorder import reckoning
from services.recorder.journal import StateRow

GAP_S = 150.0
START = datetime(2026, 7, 1, 14, tzinfo=UTC)  # a Wednesday, 16:00 in Paris


def event(event_id="e", start=START, hours=2.0, status=EventStatus.ONGOING, ts=None):
    return EventMessage(
        ts=ts or start,
        id=event_id,
        revision=0,
        start=start,
        end=start + timedelta(hours=hours),
        goal=GoalSection(kind=GoalKind.MINIMIZE),
        methods=(Method.REPLACEMENT,),
        priority=0,
        status=status,
    )


def test_baseline_and_performance_of_a_recorded_event_by_hand(station, history, fill) -> None:
    # Fifteen days at 100 W from the grid; in the event's two hours 20 W from the grid, 80 W from the battery.
    fill("2026-06-16T00:00", 15 * 1440 + 14 * 60, lambda i: {"p1_w": 100.0, "p2_w": 0.0, "p3_w": 0.0, "p4_w": 0.0})
    fill("2026-07-01T14:00", 180, lambda i: {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 15.0})
    baseline = reckoning.baseline(event(), START, station, history, GAP_S)
    assert len(baseline.days) == 10
    assert baseline.days[0] == "2026-06-30"
    assert [one.import_wh for one in baseline.intervals] == [100.0, 100.0]
    assert [one.load_wh for one in baseline.intervals] == [100.0, 100.0]
    assert reckoning.fits(baseline, event(), station)
    assert not reckoning.fits(baseline, event(hours=3), station)

    final = reckoning.performance(event(), baseline, event().end, history, GAP_S, ts=START, final=True)
    assert final is not None
    # At the very start the power runs from 100 W to 20 W within the minute before: exact figures, no slack.
    assert [one.import_wh for one in final.intervals] == [20.0, 20.0]
    assert [one.reduction_wh for one in final.intervals] == [80.0, 80.0]
    assert (final.avoided_wh, final.reduction_wh, final.covered) == (160.0, 160.0, 1.0)
    assert final.intervals[0].pv_wh == 15.0

    running = reckoning.performance(event(), baseline, START + timedelta(minutes=30), history, GAP_S, ts=START, final=False)
    assert running is not None
    assert [(one.baseline_wh, one.import_wh, one.reduction_wh) for one in running.intervals] == [(50.0, 10.0, 40.0)]
    assert reckoning.performance(event(), baseline, START, history, GAP_S, ts=START, final=False) is None


def test_days_on_which_an_event_took_place_are_left_out(station, history, fill, journal) -> None:
    fill("2026-06-01T00:00", 30 * 1440, lambda i: {"p1_w": 100.0, "p2_w": 0.0, "p3_w": 0.0})
    yesterday, before = START - timedelta(days=1), START - timedelta(days=2)
    others = [
        event("ran", yesterday, status=EventStatus.COMPLETED),
        event("given-up-early", before, status=EventStatus.CANCELLED, ts=before - timedelta(hours=1)),
        event("given-up-late", START - timedelta(days=5), status=EventStatus.OPTED_OUT, ts=START - timedelta(days=5, hours=-1)),
    ]
    journal.write({}, [StateRow(f"event/{other.id}", 1, other.model_dump_json()) for other in others])
    baseline = reckoning.baseline(event(), START, station, history, GAP_S)
    assert {refused.day for refused in baseline.refused} == {"2026-06-30", "2026-06-26"}
    assert "2026-06-29" in baseline.days


def test_an_event_that_was_given_up_ends_when_it_was(station) -> None:
    given_up = event(status=EventStatus.OPTED_OUT, ts=START + timedelta(minutes=40))
    assert reckoning.took_place(given_up)
    assert reckoning.end_of(given_up) == START + timedelta(minutes=40)
    assert reckoning.end_of(event(status=EventStatus.COMPLETED, ts=START + timedelta(hours=9))) == START + timedelta(hours=2)


@pytest.mark.parametrize(("speed", "gap_s"), [(1, 10), (60, 600)])
def test_the_longest_gap_grows_with_the_speed_of_a_simulation(station, speed, gap_s) -> None:
    assert reckoning.max_gap_s(station, speed) == gap_s
