from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.baseline import intervals_of
from services.core.energy import Flows, PowerSeries
from services.core.positions import Position
from services.core.settlement import elapsed, metered
from services.core.settlement import settle as settle_metered

START = datetime(2026, 7, 1, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)
INTERVALS = intervals_of(START, START + 2 * HOUR, HOUR)


def constant(power_w, minutes=120):
    return PowerSeries.of((START.timestamp() + 60 * i, power_w) for i in range(minutes + 1))


def settle(intervals, baseline_wh, flows):
    return settle_metered(intervals, baseline_wh, metered(intervals, flows))


def house(p1=0.0, p2=0.0, p3=0.0, p4=0.0, minutes=120):
    powers = dict(zip(Position, (p1, p2, p3, p4), strict=True))
    return Flows({position: constant(power_w, minutes) for position, power_w in powers.items()}, 150)


def test_both_figures_side_by_side() -> None:
    # The battery carries 120 W while 20 W still come from the grid; the baseline said 150 Wh an hour.
    found = settle(INTERVALS, (150.0, 150.0), house(p1=20, p3=120, p4=30))
    for one in found.intervals:
        assert one.import_wh == pytest.approx(20)
        assert one.avoided_wh == pytest.approx(120)
        assert one.pv_wh == pytest.approx(30)
        assert one.reduction_wh == pytest.approx(130)
        assert one.covered == 1.0
    assert (found.avoided_wh, found.reduction_wh, found.covered) == (pytest.approx(240), pytest.approx(260), 1.0)


def test_charging_from_the_grid_counts_against_what_the_battery_gave() -> None:
    assert settle(INTERVALS, (0.0, 0.0), house(p2=300, p3=100)).avoided_wh == pytest.approx(-400)


def test_without_a_baseline_there_is_no_reduction_but_the_metered_figure_stands() -> None:
    found = settle(INTERVALS, (150.0, None), house(p1=20, p3=120))
    assert found.intervals[0].reduction_wh == pytest.approx(130)
    assert found.intervals[1].reduction_wh is None
    assert found.reduction_wh is None
    assert found.avoided_wh == pytest.approx(240)


def test_a_silent_position_leaves_unknown_what_depends_on_it() -> None:
    flows = house(p1=20, p3=120)
    silent = Flows({p: s for p, s in flows.series.items() if p is not Position.P3}, 150)
    one = settle(INTERVALS, (150.0, 150.0), silent).intervals[0]
    assert (one.import_wh, one.reduction_wh) == (pytest.approx(20), pytest.approx(130))
    assert (one.avoided_wh, one.covered) == (None, 0.0)


def test_an_hour_that_is_mostly_unseen_is_unknown() -> None:
    found = settle(INTERVALS, (100.0, 100.0), house(p1=10, minutes=95))
    assert found.intervals[0].reduction_wh == pytest.approx(90)
    assert (found.intervals[1].import_wh, found.intervals[1].reduction_wh) == (None, None)
    assert found.intervals[1].covered == pytest.approx(35 / 60)
    assert found.covered == pytest.approx(95 / 120)


def test_no_reduction_is_claimed_for_a_short_time_without_readings() -> None:
    one = settle(INTERVALS, (100.0, 100.0), house(p1=10, minutes=117)).intervals[1]
    assert one.import_wh == pytest.approx(9.5)
    assert one.reduction_wh == pytest.approx(95 - 9.5)


def test_a_running_event_is_settled_as_far_as_it_has_come() -> None:
    cut, baseline_wh = elapsed(INTERVALS, (100.0, 200.0), START + timedelta(minutes=75))
    assert [(i.start, i.end) for i in cut] == [(START, START + HOUR), (START + HOUR, START + timedelta(minutes=75))]
    assert baseline_wh == [100.0, pytest.approx(50.0)]
    assert elapsed(INTERVALS, (100.0, 200.0), START) == ([], [])
    assert elapsed(INTERVALS, (100.0, None), START + 5 * HOUR) == (list(INTERVALS), [100.0, None])


@given(st.lists(st.floats(-2000, 2000), min_size=4, max_size=4), st.floats(0, 3000))
def test_totals_are_the_sum_of_the_intervals(powers, baseline_wh) -> None:
    found = settle(INTERVALS, (baseline_wh, baseline_wh), house(*powers))
    assert found.avoided_wh == pytest.approx(2 * (powers[2] - powers[1]), abs=1e-6)
    assert found.reduction_wh == pytest.approx(2 * (baseline_wh - powers[0] - powers[1]), abs=1e-6)
