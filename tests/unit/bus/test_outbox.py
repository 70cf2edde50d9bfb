"""What waits for a connection: in order, bounded, and of a retained topic only the newest."""

import random

from hypothesis import given
from hypothesis import strategies as st

from services.bus.connection import LONGEST_WAIT_S, backoff_s
from services.bus.outbox import Outbox, Outgoing


def message(topic: str, body: int, *, retain: bool = False, expires_at: float | None = None) -> Outgoing:
    return Outgoing(topic, str(body).encode(), 1, retain, expires_at)


def drain(outbox: Outbox) -> list[bytes]:
    taken = []
    while (outgoing := outbox.take()) is not None:
        taken.append(outgoing.payload)
        outbox.sent(outgoing, lambda: True)
        outbox.settle()
    return taken


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=40))
def test_order_is_kept_and_of_a_retained_topic_only_the_newest_waits(topics) -> None:
    outbox = Outbox()
    for n, (topic, retain) in enumerate(topics):
        outbox.add(message(topic, n, retain=retain))
    newest = {topic: n for n, (topic, retain) in enumerate(topics) if retain}
    expected = [n for n, (topic, retain) in enumerate(topics) if not retain or newest[topic] == n]
    assert [int(body) for body in drain(outbox)] == expected


def test_when_full_the_oldest_goes() -> None:
    outbox = Outbox(capacity=2)
    assert outbox.add(message("t", 1)) is None
    assert outbox.add(message("t", 2)) is None
    assert outbox.add(message("t", 3)) == message("t", 1)
    assert drain(outbox) == [b"2", b"3"]


def test_no_more_than_the_window_is_in_flight() -> None:
    outbox = Outbox(window=2)
    acknowledged = False
    for n in range(3):
        outbox.add(message("t", n))
    while (outgoing := outbox.take()) is not None:
        outbox.sent(outgoing, lambda: acknowledged)
    assert len(outbox) == 3
    acknowledged = True
    outbox.settle()
    assert drain(outbox) == [b"2"]


def test_what_was_not_acknowledged_is_sent_again_before_the_rest() -> None:
    outbox = Outbox(window=2)
    for n in range(3):
        outbox.add(message("t", n))
    for acknowledged in (lambda: True, lambda: False):
        outgoing = outbox.take()
        assert outgoing is not None
        outbox.sent(outgoing, acknowledged)
    outbox.connection_lost()
    assert drain(outbox) == [b"1", b"2"]


def test_an_old_state_in_flight_never_overtakes_the_new_one() -> None:
    outbox = Outbox()
    outbox.add(message("state", 1, retain=True))
    old = outbox.take()
    assert old is not None
    outbox.sent(old, lambda: False)
    outbox.add(message("state", 2, retain=True))
    outbox.connection_lost()
    assert drain(outbox) == [b"2"]


def test_a_command_that_waited_too_long_is_dropped() -> None:
    outbox = Outbox()
    late = message("event/command", 1, expires_at=60.0)
    outbox.add(late)
    outbox.add(message("state", 2))
    assert outbox.drop_expired(59.9) == []
    assert outbox.drop_expired(60.0) == [late]
    assert drain(outbox) == [b"2"]


@given(failures=st.integers(0, 10_000), seed=st.integers())
def test_the_back_off_grows_is_capped_and_jittered(failures, seed) -> None:
    jitter = random.Random(seed)
    wait_s = backoff_s(failures, jitter)
    assert 0.1 <= wait_s <= LONGEST_WAIT_S
    assert backoff_s(failures, jitter) != wait_s
    assert failures < 8 or wait_s >= LONGEST_WAIT_S / 2


def test_of_what_is_thrown_away_only_what_takes_a_retained_message_back_still_goes_out() -> None:
    outbox = Outbox()
    outbox.add(Outgoing("online", b"", 1, True))
    taken = outbox.take()
    assert taken is not None
    outbox.sent(taken, lambda: False)
    outbox.add(message("answer", 1))
    outbox.add(message("online too", 2, retain=True))
    outbox.keep_clearings()
    assert drain(outbox) == [b""]
