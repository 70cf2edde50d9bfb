"""The dead-man of one relay: what to set, given what is wished and what the device says. Pure.

A wish for the unsafe state is held only while it is renewed, and the device's own timer stands behind it, in case this
bridge dies (design section 5). All times are real, monotonic seconds.
"""

from dataclasses import dataclass, replace

from services.relay_bridge.status import Status, discrepancy, word

DEVICE_TIMER_S = 60.0
"""The device's own timer, started anew with every renewal."""
UNASKED_HOLD_S = 30.0
"""How long an unsafe state that nobody asked for may stand: a bridge restarted in mid-event hears a renewal sooner."""
WELDED_W = 5.0
"""More than this through a relay that says off means a welded contact; less confirms that it is off."""
_WELDED_POLLS = 2
FIRED = "device timer fired"
BY_HAND = "switched by hand"
_UNTIMED_TRIES = 2
_FIRED_SHARE = 0.9
"""From this share of the device's timer on, a flip back counts as the timer's doing."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one position."""

    safe: bool
    """The state in which nothing can go wrong unattended."""
    device_timer_s: float | None = DEVICE_TIMER_S
    """None: the device has no timer of its own, by the configuration's explicit word, and none is expected."""
    yields: bool = False
    """Whoever switches it at the device wins: a wish against that is given up, and what nobody asked for is left as it is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A command as heard; each renewal is a new one."""

    on: bool
    command_id: str
    hold_s: float
    at: float

    @property
    def until(self) -> float:
        """When it lapses unless renewed."""
        return self.at + self.hold_s


@dataclass(frozen=True, slots=True)
class Order:
    """An absolute state to set now."""

    on: bool
    timer_s: float | None
    wish: Wish | None
    """The wish that it carries out; None when the bridge acts by itself."""
    why: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What the device said, and when that was asked."""

    status: Status
    at: float


@dataclass(frozen=True, slots=True)
class Carried:
    """The last order that the device's read-back confirmed."""

    order: Order
    at: float
    """When it was sent, so that the device's timer runs out no earlier than counted from here."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What one position's dead-man remembers."""

    wish: Wish | None = None
    seen: Seen | None = None
    """None while the device does not answer."""
    carried: Carried | None = None
    barred: tuple[str, str] | None = None
    """A command_id whose unsafe wish is no longer obeyed, and why."""
    foreign: str | None = None
    """How the device was found in another state than was set."""
    unasked_since: float | None = None
    """Since when the device stands unsafe with no wish."""
    hot_polls: int = 0
    """Polls in a row with power through a relay that says off."""
    untimed: int = 0
    """Orders in a row that made the device unsafe without the timer asked for."""


def heard(memory: Memory, wish: Wish) -> Memory:
    """After a command."""
    same = memory.wish is not None and memory.wish.command_id == wish.command_id
    barred = memory.barred if memory.barred and memory.barred[0] == wish.command_id else None
    return replace(memory, wish=wish, barred=barred, unasked_since=None, untimed=memory.untimed if same else 0)


def polled(memory: Memory, rules: Rules, status: Status, at: float, now: float) -> Memory:
    """After a poll asked for at `at`."""
    hot = not status.on and status.power_w is not None and status.power_w > WELDED_W
    memory = replace(memory, seen=Seen(status, at), hot_polls=memory.hot_polls + 1 if hot else 0)
    if status.on == _target(memory, rules, now) and (status.timer_s is not None) == _timed(rules, status.on):
        memory = replace(memory, foreign=None)
    memory = _flipped(memory, rules, status, at, now)
    return _settled(memory, rules, now)


def carried_out(memory: Memory, rules: Rules, order: Order, status: Status, at: float, now: float) -> Memory:
    """After an order sent at `at` whose read-back confirmed it."""
    memory = replace(memory, seen=Seen(status, at), carried=Carried(order, at), foreign=None, hot_polls=0, untimed=0)
    return _settled(memory, rules, now)


def not_carried_out(memory: Memory, rules: Rules, order: Order, status: Status, at: float, now: float) -> Memory:
    """After an order that the device accepted, with a read-back that shows something else."""
    difference = discrepancy(status, on=order.on, timer_s=order.timer_s)
    memory = replace(memory, seen=Seen(status, at), foreign=difference)
    if order.wish is not None and _timed(rules, order.on) and status.on == order.on:
        # Unsafe without its own timer, a device would stay so if this bridge died: rather not at all.
        untimed = memory.untimed + 1
        barred = (order.wish.command_id, "the device does not run its dead-man timer") if untimed >= _UNTIMED_TRIES else memory.barred
        memory = replace(memory, untimed=untimed, barred=barred)
    return _settled(memory, rules, now)


def refused(memory: Memory, order: Order) -> Memory:
    """After an order that the device answered with an error."""
    return replace(memory, foreign=f"refuses to be set {word(order.on)}")


def lost(memory: Memory) -> Memory:
    """While the device does not answer: what it does is unknown."""
    return replace(memory, seen=None, hot_polls=0)


def decide(memory: Memory, rules: Rules, now: float) -> Order | None:
    """What to set now, if anything."""
    status = memory.seen.status if memory.seen else None
    wish = memory.wish
    if rules.yields and (wish is None or by_hand(memory)):
        return None
    if wish is None:
        if status is not None and status.on == rules.safe:
            return _safe(rules, "nobody asked for the timer that runs") if status.timer_s is not None else None
        if memory.unasked_since is not None and now >= memory.unasked_since + UNASKED_HOLD_S:
            return _safe(rules, f"nobody asked for {word(not rules.safe)}")
        return None
    held = _held(memory, now)
    if held is None or held.on == rules.safe:
        # A renewal of the safe state needs nothing as long as the device is seen to stand in it; a first wish is always sent.
        known = held is None or (memory.carried is not None and _id(memory.carried.order) == wish.command_id)
        if known and status is not None and status.on == rules.safe and status.timer_s is None:
            return None
        return Order(rules.safe, None, held, "wished") if held else _safe(rules, _why_released(memory, wish))
    return _unsafe(memory, rules, held, now)


def timer_fired(memory: Memory) -> bool:
    """Whether the device's own timer has switched it against the standing wish."""
    return memory.barred is not None and memory.barred[1] == FIRED and (memory.wish is None or _is_barred(memory, memory.wish))


def by_hand(memory: Memory) -> bool:
    """Whether somebody has switched the device against the standing wish, and may."""
    return memory.barred is not None and memory.barred[1] == BY_HAND and (memory.wish is None or _is_barred(memory, memory.wish))


def ours_to_release(memory: Memory, rules: Rules) -> bool:
    """Whether a device that yields stands as it does because of us."""
    carried = memory.carried
    return not rules.yields or (carried is not None and carried.order.on != rules.safe and not by_hand(memory))


def next_change(memory: Memory, now: float) -> float | None:
    """When `decide` may answer otherwise although nothing is heard or seen; None: never."""
    times = [memory.wish.until] if memory.wish else []
    if memory.unasked_since is not None:
        times.append(memory.unasked_since + UNASKED_HOLD_S)
    return min((time for time in times if time > now), default=None)


def fault(memory: Memory, rules: Rules) -> str | None:
    """What is wrong with the relay, in words."""
    if memory.hot_polls >= _WELDED_POLLS:
        return "welded contact: it says off, but power flows"
    if memory.barred is not None and (memory.wish is None or _is_barred(memory, memory.wish)):
        return None if memory.barred[1] == BY_HAND else memory.barred[1]
    if memory.unasked_since is not None:
        return f"found {word(not rules.safe)} though nobody asked for it"
    return memory.foreign


def _unsafe(memory: Memory, rules: Rules, wish: Wish, now: float) -> Order | None:
    order = Order(wish.on, rules.device_timer_s, wish, "wished")
    carried, seen = memory.carried, memory.seen
    if carried is None or _id(carried.order) != wish.command_id:
        return order
    if carried.order.wish == wish:
        if seen is None or (seen.status.on == wish.on and (seen.status.timer_s is not None) == _timed(rules, wish.on)):
            return None
        return order
    if rules.device_timer_s is None:
        # Without a timer a renewal has nothing to start anew.
        return None if seen is None or (seen.status.on == wish.on and seen.status.timer_s is None) else order
    # A renewal. Where the device's timer may have fired unseen, a renewal would switch again behind everybody's back: look first.
    may_have_fired = carried.at + _FIRED_SHARE * rules.device_timer_s
    return None if now >= may_have_fired and (seen is None or seen.at < may_have_fired) else order


def _held(memory: Memory, now: float) -> Wish | None:
    """The wish, as long as it is renewed and not barred."""
    wish = memory.wish
    return wish if wish is not None and now < wish.until and not _is_barred(memory, wish) else None


def _target(memory: Memory, rules: Rules, now: float) -> bool:
    held = _held(memory, now)
    return held.on if held else rules.safe


def _flipped(memory: Memory, rules: Rules, status: Status, at: float, now: float) -> Memory:
    """What it means that the device stands otherwise than was set."""
    wish, carried = memory.wish, memory.carried
    if wish is None or carried is None or now >= wish.until or _id(carried.order) != wish.command_id or status.on == wish.on:
        return memory
    if wish.on != rules.safe and rules.device_timer_s is not None and at >= carried.at + _FIRED_SHARE * rules.device_timer_s:
        return replace(memory, barred=(wish.command_id, FIRED))
    if rules.yields:
        return replace(memory, barred=(wish.command_id, BY_HAND), foreign=None)
    if _is_barred(memory, wish):
        return memory
    return replace(memory, foreign=f"found {word(status.on)} though {word(wish.on)} was set")


def _settled(memory: Memory, rules: Rules, now: float) -> Memory:
    """Forget a wish once it is let go of, and note an unsafe state that nobody asked for."""
    if memory.seen is None:
        return memory
    status = memory.seen.status
    wish = memory.wish
    if wish is not None and now >= wish.until and status.on == rules.safe and status.timer_s is None:
        memory, wish = replace(memory, wish=None), None
    if wish is not None or status.on == rules.safe or rules.yields:
        return replace(memory, unasked_since=None)
    return memory if memory.unasked_since is not None else replace(memory, unasked_since=now)


def _is_barred(memory: Memory, wish: Wish) -> bool:
    return memory.barred is not None and memory.barred[0] == wish.command_id


def _timed(rules: Rules, on: bool) -> bool:
    """Whether the state `on` carries a timer of the device's own."""
    return on != rules.safe and rules.device_timer_s is not None


def _id(order: Order) -> str | None:
    return order.wish.command_id if order.wish else None


def _safe(rules: Rules, why: str) -> Order:
    return Order(rules.safe, None, None, why)


def _why_released(memory: Memory, wish: Wish) -> str:
    return memory.barred[1] if memory.barred and _is_barred(memory, wish) else f"no renewal for {wish.hold_s:g} s"
