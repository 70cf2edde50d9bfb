"""What to tell now: pure, from what is known and what was told before. Never twice for one thing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.bus.messages.events import EventMessage
from services.core.config.notifications import Kind
from services.core.events import OPEN_STATUSES, EventStatus
from services.gateway.notify import words
from services.gateway.notify.facts import Facts
from services.gateway.notify.memory import Memory, Watch

LASTS = timedelta(minutes=2)
"""So long a trouble must last before it is told."""
CALM = timedelta(minutes=1)
"""So long it must be gone to start that anew: a device that flaps is in trouble all the while."""
BACK = timedelta(minutes=10)
"""So long it must be gone, once told, before another one is another trouble."""
QUIET = timedelta(hours=1)
"""Never sooner than this is the same device told of again."""
FIGURES = timedelta(minutes=30)
"""So long a finished event waits for its figures."""
RISEN_PCT = 5.0
"""So far above the reserve a battery has recovered."""
CANNOT = frozenset(
    {
        *("holding_part", "switchings_spent", "method_impossible", "soc_unknown", "lowest_reached", "reserve_reached", "soc_doubtful"),
        *("p3_not_alive", "p3_not_closed", "p3_lost", "p1_unknown", "p3_unknown", "load_unknown", "p1_astray", "p3_astray"),
        *("deadman_unproved", "p3_deadman_unproved", "ats_unknown", "mode_impossible", "over_inverter", "over_transfer", "switching_cap"),
    }
)
"""The controller's reasons for not holding the goal of the event that runs, or not all of it."""
_ENDED_EARLY = frozenset({EventStatus.CANCELLED, EventStatus.EXPIRED})


@dataclass(frozen=True, slots=True)
class Message:
    """One notification."""

    key: str
    """What it is about: the same thing has the same key."""
    kind: Kind
    title: str
    body: str


def decide(memory: Memory, facts: Facts, zone: ZoneInfo, wall: datetime) -> tuple[Memory, tuple[Message, ...]]:
    """The memory as it must be kept before any of the messages goes out, and the messages. `wall` is real time."""
    messages: list[Message] = []
    for event_id in sorted(facts.events, key=lambda one: (facts.events[one].start, one)):
        event = facts.events[event_id]
        memory, found = _of_event(memory, event_id, event, facts, zone, wall)
        messages += found
    memory, found = _of_lasting(memory, facts, wall)
    return _without_old(memory, facts, wall), (*messages, *found)


def _of_event(
    memory: Memory, event_id: str, event: EventMessage, facts: Facts, zone: ZoneInfo, wall: datetime
) -> tuple[Memory, list[Message]]:
    said, now = memory.told, facts.now
    announced, revised = f"event/{event_id}/announced", f"event/{event_id}/announced/{event.revision}"
    started, over, refused = f"event/{event_id}/starting", f"event/{event_id}/finished", f"event/{event_id}/refused"
    messages: list[Message] = []

    def tell(key: str, kind: Kind, text: tuple[str, str], *also: str) -> None:
        nonlocal memory
        for one in (key, *also):
            memory = memory.with_told(one, wall)
        messages.append(Message(key, kind, *text))

    if event.status in OPEN_STATUSES and event.status is not EventStatus.PREDICTED and event.end > now:
        if event.status is EventStatus.ONGOING:
            if started not in said:
                # One that starts at once is not announced besides.
                tell(started, Kind.EVENT_STARTING, words.starting(event, now, zone, facts.soc_pct), announced, revised)
            elif revised not in said:
                tell(revised, Kind.EVENT_ANNOUNCED, words.announced(event, now, zone, amended=True), announced)
        elif revised not in said:
            tell(revised, Kind.EVENT_ANNOUNCED, words.announced(event, now, zone, amended=announced in said), announced)
    elif event.status is EventStatus.REFUSED and event.end > now and refused not in said:
        tell(refused, Kind.EVENT_CANNOT_BE_MET, words.refused(event, now, zone))
    elif event.status in _ENDED_EARLY and announced in said and over not in said:
        tell(over, Kind.EVENT_FINISHED, words.ended_early(event, now, zone))
    elif event.status is EventStatus.COMPLETED and announced in said and over not in said:
        result = facts.performances.get(event_id)
        final = result if result is not None and result.final else None
        memory, waited = _waited(memory, over, wall)
        if final is not None or waited >= FIGURES:
            memory = memory.with_watch(over, None)
            tell(over, Kind.EVENT_FINISHED, words.finished(event, final, now, zone))
    return memory, messages


def _waited(memory: Memory, key: str, wall: datetime) -> tuple[Memory, timedelta]:
    watch = memory.watches.get(key) or Watch(since=wall)
    return memory.with_watch(key, watch), _age(watch.since, wall)


def _of_lasting(memory: Memory, facts: Facts, wall: datetime) -> tuple[Memory, list[Message]]:
    messages: list[Message] = []
    for key, kind, holds, text in _conditions(facts):
        if kind is Kind.EVENT_CANNOT_BE_MET and key in memory.told:
            continue
        before = memory.watches.get(key)
        after, due = _watched(before, holds, wall)
        if due and after is not None and holds:
            messages.append(Message(key, kind, *text(_age(after.since, wall))))
            after = after.model_copy(update={"told": True, "told_at": wall})
            if kind is Kind.EVENT_CANNOT_BE_MET:
                memory, after = memory.with_told(key, wall), None
        if after != before:
            memory = memory.with_watch(key, after)
    return memory, messages


_Condition = tuple[str, Kind, bool | None, Callable[[timedelta], tuple[str, str]]]


def _conditions(facts: Facts) -> Iterator[_Condition]:
    for device in facts.devices:
        yield (
            device.key,
            Kind.DEVICE_LOST,
            device.lost,
            lambda lasted, device=device: words.device_lost(device.name, device.why, lasted),  # type: ignore[misc]
        )
    soc_pct, reserve_pct = facts.soc_pct, facts.reserve_pct
    if soc_pct is not None:
        # Between the reserve and what counts as recovered nothing changes.
        low = True if soc_pct < reserve_pct else False if soc_pct >= min(reserve_pct + RISEN_PCT, 100.0) else None
        yield "battery/reserve", Kind.BATTERY_LOW, low, lambda _: words.battery_low(soc_pct, reserve_pct)
    for event_id, event in facts.events.items():
        if event.status is EventStatus.ONGOING:
            holds = facts.held_event == event_id and facts.reason_code in CANNOT
            text = words.unmet(event, facts.reason, soc_pct)
            yield f"event/{event_id}/unmet", Kind.EVENT_CANNOT_BE_MET, holds, lambda _, text=text: text  # type: ignore[misc]


def _watched(watch: Watch | None, holds: bool | None, wall: datetime) -> tuple[Watch | None, bool]:
    """The watch after a look, and whether to tell now. What is not known changes nothing."""
    if holds is None:
        return watch, False
    watch = watch or Watch()
    if holds:
        watch = watch.model_copy(update={"since": watch.since or wall, "clear_since": None})
        quiet = watch.told_at is not None and _age(watch.told_at, wall) < QUIET
        return watch, not watch.told and not quiet and _age(watch.since, wall) >= LASTS
    if watch.since is not None:
        watch = watch.model_copy(update={"clear_since": watch.clear_since or wall})
        if _age(watch.clear_since, wall) < (BACK if watch.told else CALM):
            return watch, False
        watch = watch.model_copy(update={"since": None, "clear_since": None, "told": False})
    if watch.told_at is None or _age(watch.told_at, wall) >= QUIET:
        return None, False
    return watch, False


def _age(since: datetime | None, wall: datetime) -> timedelta:
    """How long ago; a clock that was set back makes nothing older, or younger than now."""
    return timedelta(0) if since is None else max(timedelta(0), wall - since)


def _without_old(memory: Memory, facts: Facts, wall: datetime) -> Memory:
    """Without what concerns events that are gone from the bus: their watches and, beyond the limit, that they were told.

    One that is still there must not be forgotten, however many there are: it would be told again at each look.
    """
    for key in memory.watches:
        event_id = _event_of(key)
        if event_id and event_id not in facts.events and _age(memory.watches[key].since, wall) > FIGURES:
            memory = memory.with_watch(key, None)
    return memory.shortened(lambda key: _event_of(key) not in facts.events)


def _event_of(key: str) -> str:
    """The event that `key` is about; empty for other things."""
    parts = key.split("/")
    return parts[1] if parts[0] == "event" else ""
