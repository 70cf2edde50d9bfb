"""The energy figure that is published never falls and never leaps."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.relay_bridge.energy import MOST_W, Counted, count

RAW = st.floats(min_value=0, max_value=1e7)


def through(*raw_wh: float, every_s: float = 1.0) -> list[float]:
    """The figures after each of what the device said."""
    counted: Counted | None = None
    figures = []
    for number, raw in enumerate(raw_wh):
        counted = count(counted, raw, number * every_s)
        figures.append(counted.total_wh)
    return figures


def test_a_plain_counter_is_passed_on() -> None:
    assert through(1000.0, 1000.5, 1002.0) == [1000.0, 1000.5, 1002.0]


def test_after_a_reset_it_goes_on_from_where_it_stood() -> None:
    assert through(1000.0, 1001.0, 0.0, 0.25, 0.5) == [1000.0, 1001.0, 1001.0, 1001.25, 1001.5]


def test_what_a_counter_has_counted_since_its_reset_is_not_lost() -> None:
    assert through(1000.0, 2.0) == [1000.0, 1002.0]


def test_a_counter_that_lost_its_last_minute_stands_still_until_then() -> None:
    assert through(1000.0, 999.5, 1000.0) == [1000.0, 1000.0, 1000.5]


def test_a_wrong_reading_in_between_adds_nothing() -> None:
    assert through(50_000.0, 0.0, 50_000.0, 50_001.0) == [50_000.0, 50_000.0, 50_000.0, 50_001.0]


def test_what_flowed_during_an_hour_of_silence_counts() -> None:
    assert through(1000.0, 1000.0 + MOST_W / 2, every_s=3600.0) == [1000.0, 1000.0 + MOST_W / 2]


@given(st.lists(RAW, min_size=1, max_size=30))
def test_it_is_monotone_and_never_faster_than_a_relay_can_carry(raw: list[float]) -> None:
    figures = through(*raw)
    assert all(0.0 <= later - earlier <= MOST_W / 3600.0 + 10.1 for earlier, later in itertools.pairwise(figures))
