"""How often a power station is asked, and what is told of the way to it."""

import random
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.bluetti_bridge.availability import Availability
from services.bluetti_bridge.driver import Manners
from services.bluetti_bridge.pacing import Pace, wait_s

TS = datetime(2027, 7, 1, 16, 20, tzinfo=UTC)


@given(st.floats(0.1, 120), st.integers(1, 200), st.lists(st.booleans(), max_size=400), st.integers(0, 99))
def test_never_more_connections_in_an_hour_than_allowed(poll_s: float, ceiling: int, fails: list[bool], seed: int) -> None:
    pace = Pace(poll_s, Manners(300, ceiling), random.Random(seed))
    now, failures, began = 0.0, 0, []
    for failed in fails:
        pace.began(now)
        began.append(now)
        failures = failures + 1 if failed else 0
        now = max(now, pace.next_at(now + 0.01, failures))
    assert all(later - earlier >= 3600 - 1e-6 for earlier, later in zip(began, began[ceiling:], strict=False))


def test_polls_in_step_with_the_period_whatever_a_poll_takes() -> None:
    pace = Pace(60, Manners(300, 120), random.Random(1))
    pace.began(0.0)
    assert [pace.next_at(now, 0) for now in (2.0, 64.0, 121.0)] == [62.0, 122.0, 182.0]


def test_backs_off_up_to_the_longest_wait_and_never_below_the_period() -> None:
    jitter = random.Random(1)
    waits = [wait_s(60, failures, 300, jitter) for failures in range(20)]
    assert waits[:2] == [60, 60]
    assert all(60 <= wait <= 300 for wait in waits)
    assert all(wait >= 150 for wait in waits[4:])
    assert len(set(waits[4:])) > 10, "in step with nobody"


def test_silence_is_told_once_it_has_lasted_and_the_reason_stays() -> None:
    link = Availability("AC180", 600, 0.0)
    link.answered(10, -60)
    first = link.message(10, TS)
    assert first is not None
    assert (first.available, first.silent, first.rssi_dbm, first.last_failure) == (True, False, -60, None)
    link.failed("not heard", TS)
    failed = link.message(70, TS)
    assert failed is not None
    assert (failed.available, failed.silent, failed.failures, failed.last_failure) == (False, False, 1, "not heard")
    assert link.message(80, TS) is None, "nothing new"
    assert link.silent_at == 610
    silent = link.message(610, TS)
    assert silent is not None
    assert (silent.silent, silent.silent_s) == (True, 600)
    link.answered(700, -61)
    back = link.message(700, TS)
    assert back is not None
    assert (back.available, back.silent, back.failures, back.last_failure, back.last_failure_at) == (True, False, 0, "not heard", TS)


def test_is_renewed_once_a_minute() -> None:
    link = Availability("AC180", 600, 0.0)
    link.answered(0, None)
    assert [link.message(now, TS) is not None for now in (0, 30, 59, 60, 61)] == [True, False, False, True, False]
