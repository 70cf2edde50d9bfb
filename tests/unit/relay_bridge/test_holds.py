"""The dead-man of one relay: when it sets what, and that an unsafe state never outlives its wish."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.relay_bridge import holds
from services.relay_bridge.holds import DEVICE_TIMER_S, UNASKED_HOLD_S, Memory, Order, Rules, Wish
from services.relay_bridge.status import Status

P1 = Rules(safe=True)
P2 = Rules(safe=False)


def status(on: bool, timer_s: float | None = None, power_w: float | None = 0.0) -> Status:
    return Status(on, power_w=power_w, timer_s=timer_s)


def polled(memory: Memory, rules: Rules, seen: Status, now: float) -> Memory:
    return holds.polled(memory, rules, seen, now, now)


def opened(at: float = 0.0, command_id: str = "a") -> Memory:
    """P1 off as wished, confirmed, with its timer."""
    memory = holds.heard(Memory(), Wish(False, command_id, 30, at))
    order = holds.decide(memory, P1, at)
    assert order == Order(False, DEVICE_TIMER_S, memory.wish, "wished")
    return holds.carried_out(memory, P1, order, status(False, DEVICE_TIMER_S), at, at)


def renewed(memory: Memory, at: float, command_id: str = "a") -> Memory:
    return holds.heard(memory, Wish(False, command_id, 30, at))


def test_a_first_wish_for_the_safe_state_is_sent_without_a_timer() -> None:
    memory = polled(Memory(), P1, status(True), 0)
    memory = holds.heard(memory, Wish(True, "a", 30, 1))
    assert holds.decide(memory, P1, 1) == Order(True, None, memory.wish, "wished")


def test_renewals_of_the_safe_state_cost_nothing_while_it_stands() -> None:
    memory = holds.heard(Memory(), Wish(True, "a", 30, 0))
    order = holds.decide(memory, P1, 0)
    assert order is not None
    memory = holds.carried_out(memory, P1, order, status(True), 0, 0)
    assert holds.decide(holds.heard(memory, Wish(True, "a", 30, 10)), P1, 10) is None


def test_each_renewal_of_the_unsafe_state_starts_the_devices_timer_anew() -> None:
    memory = renewed(opened(), 10)
    assert holds.decide(memory, P1, 10) == Order(False, DEVICE_TIMER_S, memory.wish, "wished")


def test_lets_go_when_renewals_stop() -> None:
    memory = polled(opened(), P1, status(False, 31), 29)
    assert holds.decide(memory, P1, 29.9) is None
    assert holds.next_change(memory, 29) == 30
    order = holds.decide(memory, P1, 30)
    assert order == Order(True, None, None, "no renewal for 30 s")
    memory = holds.carried_out(memory, P1, order, status(True), 30, 30)
    assert memory.wish is None
    assert holds.decide(memory, P1, 31) is None


def test_lets_go_again_and_again_while_the_device_is_silent() -> None:
    assert holds.decide(holds.lost(opened()), P1, 45) == Order(True, None, None, "no renewal for 30 s")


def test_a_restarted_bridge_does_not_flap_an_event_that_goes_on() -> None:
    memory = polled(Memory(), P1, status(False, 50), 0)
    assert holds.decide(memory, P1, 9) is None
    memory = renewed(memory, 9)
    assert holds.decide(memory, P1, 9) == Order(False, DEVICE_TIMER_S, memory.wish, "wished")


def test_an_unsafe_state_that_nobody_asked_for_ends_after_the_hold() -> None:
    memory = polled(Memory(), P1, status(False), 5)
    assert holds.fault(memory, P1) == "found off though nobody asked for it"
    assert holds.next_change(memory, 6) == 5 + UNASKED_HOLD_S
    assert holds.decide(memory, P1, 5 + UNASKED_HOLD_S - 0.1) is None
    assert holds.decide(memory, P1, 5 + UNASKED_HOLD_S) == Order(True, None, None, "nobody asked for off")


def test_the_safe_state_without_a_command_is_left_alone_unless_a_timer_would_end_it() -> None:
    assert holds.decide(polled(Memory(), P2, status(False), 0), P2, 100) is None
    assert holds.decide(polled(Memory(), P2, status(False, 20), 0), P2, 0) == Order(
        False, None, None, "nobody asked for the timer that runs"
    )


def test_a_wall_switch_is_told_and_overruled_while_the_wish_is_fresh() -> None:
    memory = polled(opened(), P1, status(True), 5)
    assert holds.fault(memory, P1) == "found on though off was set"
    order = holds.decide(memory, P1, 5)
    assert order is not None
    assert not order.on
    memory = holds.carried_out(memory, P1, order, status(False, DEVICE_TIMER_S), 5, 5)
    assert holds.fault(memory, P1) is None


def test_a_wall_switch_set_back_by_hand_is_no_fault_any_more() -> None:
    memory = polled(opened(), P1, status(True), 5)
    assert holds.fault(polled(memory, P1, status(False, 54), 6), P1) is None


def test_a_timer_cancelled_by_somebody_is_started_again() -> None:
    memory = polled(opened(), P1, status(False), 5)
    order = holds.decide(memory, P1, 5)
    assert order is not None
    assert order.timer_s == DEVICE_TIMER_S


def test_after_the_devices_timer_fired_only_a_new_wish_opens_again() -> None:
    memory = holds.lost(opened())
    for at in (10, 20, 30, 40, 50):
        memory = renewed(memory, at)
        assert holds.decide(memory, P1, at) is not None, "while the timer cannot have fired, renewals are tried"
    memory = renewed(memory, 60)
    assert holds.decide(memory, P1, 60) is None, "it may have fired unseen: look first"
    memory = polled(memory, P1, status(True), 61)
    assert holds.fault(memory, P1) == "device timer fired"
    assert holds.timer_fired(memory)
    assert holds.decide(memory, P1, 61) is None
    memory = renewed(memory, 70)
    assert holds.decide(memory, P1, 70) is None
    assert holds.fault(memory, P1) == "device timer fired"
    assert holds.timer_fired(memory)
    memory = renewed(memory, 80, command_id="b")
    assert holds.fault(memory, P1) is None
    assert holds.decide(memory, P1, 80) is not None


def test_a_device_found_still_unsafe_after_a_long_silence_is_renewed() -> None:
    memory = polled(renewed(holds.lost(opened()), 59), P1, status(False, 1), 59)
    assert holds.decide(memory, P1, 59) == Order(False, DEVICE_TIMER_S, memory.wish, "wished")


def test_a_device_that_runs_no_timer_is_not_kept_unsafe() -> None:
    memory = holds.heard(Memory(), Wish(False, "a", 30, 0))
    for _ in range(2):
        order = holds.decide(memory, P1, 0)
        assert order is not None
        assert not order.on
        memory = holds.not_carried_out(memory, P1, order, status(False), 0, 0)
    assert holds.decide(memory, P1, 0) == Order(True, None, None, "the device does not run its dead-man timer")


def test_a_welded_contact_shows_after_two_polls() -> None:
    memory = polled(opened(), P1, status(False, 59, power_w=120), 1)
    assert holds.fault(memory, P1) is None, "power may take a moment to fall"
    memory = polled(memory, P1, status(False, 58, power_w=120), 2)
    assert holds.fault(memory, P1) == "welded contact: it says off, but power flows"
    assert holds.fault(polled(memory, P1, status(False, 57, power_w=0.4), 3), P1) is None


@dataclass
class World:
    """A relay, its device and its bridge, in steps; the device obeys whenever it can be reached."""

    rules: Rules
    on: bool
    timer_ends: float | None = None
    now: float = 0.0
    reachable: bool = True
    memory: Memory = field(default_factory=Memory)
    wish: Wish | None = None
    """The last one sent."""
    disturbed_at: float = 0.0
    """When something last happened that the bridge had no part in."""

    def device(self) -> Status:
        return Status(self.on, timer_s=None if self.timer_ends is None else self.timer_ends - self.now)

    def put(self, on: bool, timer_ends: float | None) -> None:
        self.on, self.timer_ends = on, timer_ends

    def advance(self, dt: float) -> None:
        self.now += dt
        if self.timer_ends is not None and self.now >= self.timer_ends:
            self.put(not self.on, None)

    def bridge(self) -> None:
        """What a poll and the keeper do; at most a few orders are due at one time."""
        if self.reachable:
            self.memory = polled(self.memory, self.rules, self.device(), self.now)
        else:
            self.memory = holds.lost(self.memory)
        for _ in range(3):
            order = holds.decide(self.memory, self.rules, self.now)
            if order is None:
                return
            assert (order.timer_s is None) == (order.on == self.rules.safe), "a timer goes with the unsafe state, and only with it"
            if not self.reachable:
                return
            self.put(order.on, None if order.timer_s is None else self.now + order.timer_s)
            self.memory = holds.carried_out(self.memory, self.rules, order, self.device(), self.now, self.now)
        raise AssertionError("orders without end")

    def check(self) -> None:
        if self.on == self.rules.safe or not self.reachable:
            return
        wished = self.wish is not None and self.wish.on == self.on and self.now < self.wish.until
        assert wished or self.now - self.disturbed_at < UNASKED_HOLD_S


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wish"), st.booleans(), st.sampled_from("abc"), st.sampled_from([1.0, 5.0, 30.0])),
        st.tuples(st.just("pass"), st.floats(0.1, 70.0)),
        st.tuples(st.just("wall switch"), st.booleans()),
        st.tuples(st.just("reachable"), st.booleans()),
        st.tuples(st.just("restart")),
    ),
    max_size=60,
)


@given(safe=st.booleans(), on=st.booleans(), steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_in_no_sequence_does_an_unsafe_state_outlive_its_hold(safe: bool, on: bool, steps: list[tuple[object, ...]]) -> None:
    world = World(Rules(safe), on)
    world.bridge()
    for name, *values in steps:
        if name == "pass":
            left = values[0]
            assert isinstance(left, float)
            while left > 0:
                world.advance(min(0.5, left))
                left -= 0.5
                world.bridge()
                world.check()
            continue
        if name == "wish":
            wished_on, command_id, hold_s = values
            assert isinstance(wished_on, bool)
            assert isinstance(command_id, str)
            assert isinstance(hold_s, float)
            world.wish = Wish(wished_on, command_id, hold_s, world.now)
            world.memory = holds.heard(world.memory, world.wish)
        else:
            world.disturbed_at = world.now
            if name == "wall switch":
                world.put(bool(values[0]), world.timer_ends)
            elif name == "reachable":
                world.reachable = bool(values[0])
            else:
                world.memory, world.wish = Memory(), None
        world.bridge()
        world.check()


WISHES = st.builds(Wish, st.booleans(), st.sampled_from("ab"), st.floats(0.1, 600), st.floats(0, 1000))
STATUSES = st.builds(Status, st.booleans(), st.none() | st.floats(-100, 5000), timer_s=st.none() | st.floats(0, 100))
ORDERS = st.builds(Order, st.booleans(), st.none() | st.just(60.0), st.none() | WISHES, st.just("x"))
MEMORIES = st.builds(
    Memory,
    wish=st.none() | WISHES,
    seen=st.none() | st.builds(holds.Seen, STATUSES, st.floats(0, 1000)),
    carried=st.none() | st.builds(holds.Carried, ORDERS, st.floats(0, 1000)),
    barred=st.none() | st.tuples(st.sampled_from("ab"), st.just("why")),
    unasked_since=st.none() | st.floats(0, 1000),
    hot_polls=st.integers(0, 5),
    untimed=st.integers(0, 3),
)


@given(memory=MEMORIES, safe=st.booleans(), now=st.floats(0, 2000), seen=STATUSES, order=ORDERS)
def test_total_and_never_a_timer_with_the_safe_state(memory: Memory, safe: bool, now: float, seen: Status, order: Order) -> None:
    rules = Rules(safe)
    for after in (
        memory,
        holds.lost(memory),
        holds.polled(memory, rules, seen, now, now),
        holds.carried_out(memory, rules, order, seen, now, now),
        holds.not_carried_out(memory, rules, order, seen, now, now),
        holds.refused(memory, order),
    ):
        decided = holds.decide(after, rules, now)
        assert decided is None or (decided.timer_s is None) == (decided.on == safe)
        assert decided is None or decided.on == safe or (after.wish is not None and now < after.wish.until)
        holds.fault(after, rules)
        upcoming = holds.next_change(after, now)
        assert upcoming is None or upcoming > now


def test_a_replaced_wish_is_dropped_only_when_lapsed() -> None:
    memory = replace(opened(), wish=Wish(True, "b", 30, 100))
    assert polled(memory, P1, status(True), 101).wish == memory.wish
