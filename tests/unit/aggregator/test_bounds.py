"""Bounds on what comes in: unpacking, and how often."""

import gzip
import tracemalloc

import pytest

from services.aggregator.allowance import Allowance
from services.aggregator.bodies import BadBody, TooLarge, is_large, unpacked


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    bomb = gzip.compress(b"0" * 50_000_000, mtime=0)
    tracemalloc.start()
    with pytest.raises(TooLarge):
        unpacked(bomb, "gzip", 100_000)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "body", [b"", b"x", gzip.compress(b"{}", mtime=0)[:-1], gzip.compress(b"{}", mtime=0) + b"more", gzip.compress(b"{}", mtime=0) * 2]
)
def test_what_is_not_one_whole_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(BadBody):
        unpacked(body, "gzip", 1000)


def test_exactly_the_limit_is_taken() -> None:
    assert unpacked(gzip.compress(b"0" * 1000, mtime=0), "gzip", 1000) == b"0" * 1000
    assert unpacked(b"0" * 1000, "", 1000) == b"0" * 1000
    with pytest.raises(TooLarge):
        unpacked(b"0" * 1001, "identity", 1000)


def test_an_allowance_fills_with_time_and_is_each_ones_own() -> None:
    allowance = Allowance(60)
    assert [allowance.wait_s("a", 0.0) for _ in range(60)] == [0] * 60
    assert allowance.wait_s("a", 0.0) == 1
    assert allowance.wait_s("b", 0.0) == 0
    assert allowance.wait_s("a", 1.0) == 0
    assert allowance.wait_s("a", 1.0) == 1
    slow = Allowance(1)
    assert (slow.wait_s("a", 0.0), slow.wait_s("a", 15.0)) == (0, 45)


def test_what_is_asked_beforehand_counts_nothing() -> None:
    allowance = Allowance(1)
    assert [allowance.would_wait_s("a", 0.0) for _ in range(3)] == [0] * 3
    assert allowance.wait_s("a", 0.0) == 0
    assert (allowance.would_wait_s("a", 15.0), allowance.wait_s("a", 15.0)) == (45, 45)


def test_short_bodies_that_cost_much_once_they_are_checked_count_as_large() -> None:
    assert not is_large(b"{}")
    assert is_large(b"[" + b"{}," * 2_000 + b"{}]")
    with pytest.raises(TooLarge):
        is_large(b"{}," * 30_000)
