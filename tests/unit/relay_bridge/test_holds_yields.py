"""The dead-man of a deferrable load's relay: as any other, but for a person's hand, which wins."""

from services.relay_bridge import holds
from services.relay_bridge.holds import DEVICE_TIMER_S, Memory, Order, Rules, Wish
from services.relay_bridge.status import Status

LOAD = Rules(safe=True, yields=True)


def wished(memory: Memory, *, on: bool, at: float, command_id: str = "a") -> Memory:
    """A wish carried out at once."""
    memory = holds.heard(memory, Wish(on, command_id, 30, at))
    order = holds.decide(memory, LOAD, at)
    assert order is not None
    return holds.carried_out(memory, LOAD, order, Status(on, timer_s=None if on else DEVICE_TIMER_S), at, at)


def seen(memory: Memory, on: bool, at: float) -> Memory:
    return holds.polled(memory, LOAD, Status(on), at, at)


def test_what_nobody_asked_for_is_left_as_it_is() -> None:
    for on in (True, False):
        memory = seen(Memory(), on, 0)
        assert all(holds.decide(memory, LOAD, at) is None for at in (0, 100, 1000))
        assert holds.fault(memory, LOAD) is None


def test_a_timer_that_its_person_started_is_left_to_run() -> None:
    memory = holds.polled(Memory(), LOAD, Status(on=True, timer_s=600.0), 0, 0)
    assert holds.decide(memory, LOAD, 1) is None
    assert holds.decide(memory, Rules(safe=True), 1) is not None, "of any other relay it would be ended"


def test_any_other_relay_is_always_ours_to_release() -> None:
    assert holds.ours_to_release(Memory(), Rules(safe=True))
    assert not holds.ours_to_release(Memory(), LOAD)


def test_a_wish_that_nobody_renews_ends_with_the_power_back() -> None:
    memory = wished(Memory(), on=False, at=0)
    assert holds.decide(memory, LOAD, 31) == Order(True, None, None, "no renewal for 30 s")


def test_switched_on_by_hand_no_renewal_switches_it_off_and_a_new_wish_may() -> None:
    memory = seen(wished(Memory(), on=False, at=0), True, 5)
    assert holds.by_hand(memory)
    renewed = holds.heard(memory, Wish(False, "a", 30, 10))
    assert all(holds.decide(renewed, LOAD, at) is None for at in (10, 20, 50))
    assert holds.decide(holds.heard(memory, Wish(False, "b", 30, 10)), LOAD, 10) is not None


def test_switched_off_by_hand_just_after_it_resumed_it_stays_off() -> None:
    memory = wished(wished(Memory(), on=False, at=0), on=True, at=20, command_id="b")
    memory = seen(memory, False, 25)
    assert holds.by_hand(memory)
    assert all(holds.decide(memory, LOAD, at) is None for at in (25, 49, 60, 600))
    assert not holds.ours_to_release(memory, LOAD)


def test_its_own_timer_is_no_hand() -> None:
    memory = seen(wished(Memory(), on=False, at=0), True, DEVICE_TIMER_S)
    memory = holds.heard(memory, Wish(False, "a", 30, DEVICE_TIMER_S))
    memory = seen(memory, True, DEVICE_TIMER_S + 1)
    assert holds.timer_fired(memory)
    assert not holds.by_hand(memory)
