"""The dead-man of a relay that has no timer of its own, by the configuration's explicit word."""

from hypothesis import given
from hypothesis import strategies as st

from services.relay_bridge import holds
from services.relay_bridge.holds import UNASKED_HOLD_S, Memory, Order, Rules, Wish
from services.relay_bridge.status import Status

P1 = Rules(safe=True, device_timer_s=None)


def polled(memory: Memory, seen: Status, now: float) -> Memory:
    return holds.polled(memory, P1, seen, now, now)


def opened() -> Memory:
    """P1 off as wished, confirmed."""
    memory = holds.heard(Memory(), Wish(False, "a", 30, 0))
    order = holds.decide(memory, P1, 0)
    assert order == Order(False, None, memory.wish, "wished"), "no timer is asked for"
    return holds.carried_out(memory, P1, order, Status(False), 0, 0)


def test_standing_unsafe_without_a_timer_is_no_fault() -> None:
    memory = polled(opened(), Status(False), 5)
    assert holds.fault(memory, P1) is None
    assert holds.decide(memory, P1, 5) is None


def test_a_renewal_sends_nothing_while_the_state_stands_and_the_state_again_where_it_does_not() -> None:
    memory = holds.heard(polled(opened(), Status(False), 9), Wish(False, "a", 30, 10))
    assert holds.decide(memory, P1, 10) is None
    memory = polled(memory, Status(True), 11)
    assert holds.fault(memory, P1) == "found on though off was set"
    assert holds.decide(memory, P1, 11) == Order(False, None, memory.wish, "wished")


def test_a_device_found_on_again_after_a_minute_is_no_timer_that_fired() -> None:
    memory = opened()
    for at in range(10, 90, 10):
        memory = holds.heard(memory, Wish(False, "a", 30, at))
    memory = polled(memory, Status(True), 81)
    assert memory.barred is None
    assert holds.decide(memory, P1, 81) is not None


def test_a_timer_that_runs_all_the_same_is_ended() -> None:
    memory = polled(opened(), Status(False, timer_s=40), 5)
    assert holds.decide(memory, P1, 5) == Order(False, None, memory.wish, "wished")


def test_the_bridge_still_lets_go_when_renewals_stop_and_when_nobody_asked() -> None:
    memory = polled(opened(), Status(False), 29)
    assert holds.decide(memory, P1, 30) == Order(True, None, None, "no renewal for 30 s")
    found = polled(Memory(), Status(False), 0)
    assert holds.decide(found, P1, UNASKED_HOLD_S) == Order(True, None, None, "nobody asked for off")


@given(
    on=st.booleans(),
    timer_s=st.none() | st.floats(0, 100),
    at=st.floats(0, 100),
    heard_at=st.floats(0, 100),
    wish_on=st.booleans(),
)
def test_no_order_ever_asks_for_a_timer(on: bool, timer_s: float | None, at: float, heard_at: float, wish_on: bool) -> None:
    memory = holds.heard(polled(opened(), Status(on, timer_s=timer_s), at), Wish(wish_on, "b", 30, heard_at))
    order = holds.decide(memory, P1, max(at, heard_at))
    assert order is None or order.timer_s is None
