"""The closed form keeps to what energy does."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.bus.uplink.messages import AggregatorEvent
from services.simulator.fleet.home import EFFICIENCY, FLOOR, Span, baseline_wh, energy, full_hours, home
from services.simulator.fleet.records import hours, settled

DAY = datetime(2026, 6, 1, tzinfo=UTC)
numbers = st.integers(0, 10_000)
starts = st.integers(0, 23 * 60).map(lambda minutes: DAY + timedelta(minutes=minutes))
lengths = st.integers(5, 360).map(lambda minutes: timedelta(minutes=minutes))


@given(numbers, starts, lengths)
def test_the_load_is_fed_from_grid_and_battery_and_from_nowhere_else(number: int, start: datetime, length: timedelta) -> None:
    one, span = home(number), Span(start, start + length)
    flows = energy(one, span.start, span.end, [span])
    assert abs(flows.load_wh - baseline_wh(one, span.start, span.end)) < 1e-6
    assert flows.p1_wh >= -1e-9
    assert flows.p3_wh <= one.capacity_wh * (1 - FLOOR) * EFFICIENCY + 1e-6
    assert 100 * FLOOR <= flows.soc_pct <= 100


@given(numbers, starts, lengths)
def test_after_an_event_the_night_puts_back_more_than_was_given(number: int, start: datetime, length: timedelta) -> None:
    one, span = home(number), Span(start, start + length)
    later = energy(one, DAY, DAY + timedelta(days=3), [span])
    given_wh = energy(one, span.start, span.end, [span]).p3_wh
    assert given_wh == 0 or later.p2_wh > 0
    assert later.p2_wh <= 2 * one.capacity_wh


@given(numbers, starts, lengths)
def test_a_settled_event_says_what_its_intervals_say(number: int, start: datetime, length: timedelta) -> None:
    event = AggregatorEvent(id="one", start=start, duration=length, ts=start)
    found = settled(home(number), event, Span(start, start + length))
    assert found.final
    assert (found.intervals[0].start, found.intervals[-1].end) == (start, start + length)
    assert found.reduction_wh is not None
    assert abs(found.reduction_wh - sum(one.reduction_wh or 0 for one in found.intervals)) < 0.1


def test_hours_are_whole_ones_and_the_same_each_time() -> None:
    starts = full_hours(DAY + timedelta(minutes=1), DAY + timedelta(hours=4, minutes=59))
    assert starts == [DAY + timedelta(hours=hour) for hour in (1, 2, 3)]
    assert hours(home(7), starts, ()) == hours(home(7), starts, ())
    assert hours(home(7), starts, ()) != hours(home(8), starts, ())
