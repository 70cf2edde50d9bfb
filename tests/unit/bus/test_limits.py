"""What keeps a broken sender from flooding the bus: the rate limit of errors, and commands that count once."""

from hypothesis import given
from hypothesis import strategies as st

from services.bus.ratelimit import RateLimit
from services.bus.repeats import Repeats


def test_the_first_error_is_told_at_once_and_the_next_after_ten_seconds() -> None:
    limit = RateLimit()
    told = [limit.tell("start", at) for at in (0.0, 1.0, 9.9, 10.0, 10.1, 25.0)]
    assert told == [0, None, None, 2, None, 1]


def test_another_kind_of_error_is_told_at_once() -> None:
    limit = RateLimit()
    assert limit.tell(("topic", "start"), 0.0) == 0
    assert limit.tell(("topic", "goal"), 0.1) == 0
    assert limit.tell(("topic", "start"), 0.2) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 4)), max_size=200))
def test_every_error_is_told_or_counted(errors) -> None:
    limit, now, told = RateLimit(capacity=6), 0.0, 0
    last: dict[int, float] = {}
    for kind, pause in errors:
        now += pause
        suppressed = limit.tell(kind, now)
        if suppressed is not None:
            assert now - last.get(kind, -10.0) >= 10.0
            last[kind] = now
            told += 1 + suppressed
    pending = sum(1 for kind in range(6) for s in [limit.tell(kind, now + 100)] if s for _ in range(s))
    assert told + pending == len(errors)


def test_the_kinds_remembered_are_bounded() -> None:
    limit = RateLimit(capacity=2)
    for kind in "abc":
        limit.tell(kind, 0.0)
    assert limit.tell("c", 1.0) is None
    assert limit.tell("a", 1.0) == 0, "the oldest was forgotten, so it is told again"


def test_identical_bytes_within_a_minute_count_once() -> None:
    repeats = Repeats()
    assert [repeats.repeated("t", b"x", at) for at in (0.0, 30.0, 59.9, 60.0, 61.0)] == [False, True, True, False, True]


def test_other_bytes_and_other_topics_count() -> None:
    repeats = Repeats()
    assert not repeats.repeated("t", b"x", 0.0)
    assert not repeats.repeated("t", b"y", 0.1)
    assert not repeats.repeated("u", b"x", 0.2)


def test_the_memory_of_commands_is_bounded() -> None:
    repeats = Repeats(capacity=3)
    for n in range(10):
        assert not repeats.repeated("t", str(n).encode(), 0.0)
    assert repeats.repeated("t", b"9", 0.0)
    assert not repeats.repeated("t", b"0", 0.0)
