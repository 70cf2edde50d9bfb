"""Shifting deferrable loads: off by the event's start, on again after it, and never against a person's hand."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.controller.shifting import BY_HAND, TIMER, WAS_OFF, ShiftMemory, ShiftSettings, Wishes, plan
from services.core.events import EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.loads import LoadSeen, ShiftRules
from tests.unit.controller.conftest import NOW, an_event

RULES = ShiftRules(timedelta(hours=3), timedelta(minutes=5), timedelta(minutes=15))
SETTINGS = ShiftSettings("demo", {"washer": RULES, "boiler": RULES})
FIRST = (Method.SHIFTING, Method.REPLACEMENT)
SECOND = (Method.REPLACEMENT, Method.SHIFTING)
ON = LoadSeen(on=True, power_w=600.0)
OFF = LoadSeen(on=False, power_w=0.0)


def event(*, methods=FIRST, hours=2.0, start=NOW, status=EventStatus.ONGOING, event_id="e1"):
    return replace(an_event(start=start, hours=hours, status=status, event_id=event_id), methods=methods)


class Loads:
    """Obedient loads: each does what is wished, unless a hand holds it."""

    def __init__(self, settings=SETTINGS):
        self.settings = settings
        self.memory = ShiftMemory()
        self.seen = dict.fromkeys(settings.rules, ON)
        self.wishes: Wishes = {}

    def cycle(self, now, governing, code="holding"):
        self.wishes, self.memory = plan(governing, code, self.seen, self.memory, self.settings, now)
        for name, on in self.wishes.items():
            if not self.seen[name].by_hand and not self.seen[name].timer_fired:
                self.seen[name] = ON if on else OFF
        return self.wishes

    def until(self, begin, end, governing, code="holding"):
        now = begin
        while now < end:
            self.cycle(now, governing(now) if callable(governing) else governing, code)
            now += timedelta(seconds=30)


def around(whole):
    def governing(now):
        if now >= whole.end:
            return None
        return replace(whole, status=EventStatus.ONGOING if now >= whole.start else EventStatus.UPCOMING)

    return governing


def test_all_loads_are_off_by_the_start_each_at_its_own_moment_and_resume_each_at_its_own_after_the_end():
    loads, whole = Loads(), event(start=NOW + timedelta(hours=1))
    governing, off, on = around(whole), {}, {}
    now = NOW
    while now < whole.end + timedelta(minutes=30):
        loads.cycle(now, governing(now))
        for name, seen in loads.seen.items():
            if not seen.on:
                off.setdefault(name, now)
            elif name in off:
                on.setdefault(name, now)
        now += timedelta(seconds=10)
    for name in SETTINGS.rules:
        assert whole.start - RULES.off_within <= off[name] <= whole.start
        assert whole.end <= on[name] <= whole.end + RULES.resume_within + timedelta(seconds=10)
    assert len(set(off.values())) == len(set(on.values())) == 2, "staggered"


def test_where_replacement_comes_first_a_load_is_left_on_while_the_battery_suffices_and_helps_once_it_does_not():
    loads, whole = Loads(), event(methods=SECOND)
    loads.until(NOW, NOW + timedelta(minutes=30), whole)
    assert loads.wishes == {}
    loads.cycle(NOW + timedelta(minutes=30), whole, "holding_part")
    assert loads.wishes == {"washer": False, "boiler": False}
    loads.cycle(NOW + timedelta(minutes=31), whole, "holding")
    assert loads.wishes == {"washer": False, "boiler": False}, "it does not flap"


def test_an_event_without_shifting_leaves_the_loads_alone():
    loads = Loads()
    loads.until(NOW, NOW + timedelta(hours=1), event(methods=(Method.REPLACEMENT,)), "lowest_reached")
    assert loads.memory.shifts == {}


def test_a_load_that_is_off_already_is_its_persons_and_is_neither_held_nor_switched_on():
    loads = Loads()
    loads.seen["washer"] = OFF
    whole = event()
    loads.cycle(NOW, whole)
    assert loads.wishes == {"boiler": False}
    assert loads.memory.shifts["washer"].note == WAS_OFF
    loads.seen["washer"] = ON
    loads.cycle(NOW + timedelta(minutes=1), whole)
    assert "washer" not in loads.wishes, "switched on by hand during the event, it stays on"
    loads.until(whole.end, whole.end + timedelta(hours=1), None)
    assert "washer" not in loads.memory.shifts


def test_a_hand_at_the_switch_wins_for_the_rest_of_the_event():
    loads, whole = Loads(), event()
    loads.cycle(NOW, whole)
    loads.seen["washer"] = ON._replace(by_hand=True)
    loads.cycle(NOW + timedelta(minutes=5), whole)
    assert "washer" not in loads.wishes
    assert loads.memory.shifts["washer"].note == BY_HAND
    loads.seen["washer"] = ON
    loads.cycle(NOW + timedelta(minutes=6), whole)
    assert "washer" not in loads.wishes
    loads.seen["boiler"] = ON._replace(timer_fired=True)
    loads.cycle(NOW + timedelta(minutes=7), whole)
    assert loads.memory.shifts["boiler"].note == TIMER


def test_called_off_a_load_gets_its_power_back_at_once():
    loads = Loads()
    loads.cycle(NOW, event(hours=3.0))
    loads.cycle(NOW + timedelta(minutes=10), None)
    assert loads.wishes == {"washer": True, "boiler": True}
    loads.cycle(NOW + timedelta(minutes=11), None)
    assert loads.wishes == {}


def test_an_event_that_is_amended_while_it_runs_takes_its_loads_along():
    loads = Loads()
    loads.cycle(NOW, event(hours=1.0))
    longer = event(hours=2.0)
    loads.until(NOW, NOW + timedelta(hours=1, minutes=50), longer)
    assert loads.wishes == {"washer": False, "boiler": False}
    shorter = event(hours=1.9)
    loads.cycle(NOW + timedelta(hours=1, minutes=51), shorter)
    assert all(shift.event_end == shorter.end for shift in loads.memory.shifts.values())


def test_no_load_is_held_off_longer_than_its_person_allows_not_even_over_two_events():
    loads = Loads()
    one, two = event(hours=2.0), event(hours=4.0, start=NOW + timedelta(hours=2), event_id="e2")
    longest = dict.fromkeys(SETTINGS.rules, timedelta(0))
    off_since = {}
    now = NOW
    while now < two.end:
        loads.cycle(now, one if now < one.end else two)
        for name, seen in loads.seen.items():
            if seen.on:
                off_since.pop(name, None)
            else:
                longest[name] = max(longest[name], now - off_since.setdefault(name, now))
        now += timedelta(seconds=30)
    assert all(timedelta(0) < span <= RULES.longest_off + timedelta(minutes=1) for span in longest.values()), longest


def test_the_shifted_energy_is_what_was_put_off_and_measured_to_be_drawn_later():
    loads, whole = Loads(ShiftSettings("demo", {"washer": RULES})), event(hours=1.0)
    loads.until(NOW, whole.end + timedelta(hours=1), around(whole))
    shift = loads.memory.shifts.get("washer")
    assert shift is not None
    assert 590.0 <= shift.deferred_wh <= 780.0
    assert shift.shifted_wh == min(shift.deferred_wh, shift.resumed_wh) > 400.0
    lazy = Loads(ShiftSettings("demo", {"washer": RULES}))
    lazy.until(NOW, whole.end, around(whole))
    lazy.seen["washer"] = OFF
    now = whole.end
    while now < whole.end + timedelta(hours=1):
        lazy.cycle(now, None)
        lazy.seen["washer"] = lazy.seen["washer"]._replace(power_w=0.0)
        now += timedelta(seconds=30)
    assert lazy.memory.shifts["washer"].shifted_wh == 0.0, "what nobody drew later was not shifted"


seen_loads = st.builds(
    LoadSeen, st.sampled_from([None, True, False]), st.one_of(st.none(), st.floats(0, 3000)), st.booleans(), st.booleans()
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1.0, 30.0, 400.0, 4000.0, -4000.0]),
            st.sampled_from(["holding", "holding_part", "lowest_reached"]),
            st.dictionaries(
                st.sampled_from(["washer", "boiler"]),
                st.builds(
                    LoadSeen, st.sampled_from([None, True, False]), st.one_of(st.none(), st.floats(0, 3000)), st.booleans(), st.booleans()
                ),
            ),
            st.one_of(
                st.none(),
                st.builds(
                    lambda hours, start, status, methods, which: event(
                        hours=hours, start=NOW + timedelta(seconds=start), status=status, methods=methods, event_id=which
                    ),
                    st.floats(0.1, 6),
                    st.integers(-7200, 7200),
                    st.sampled_from([EventStatus.UPCOMING, EventStatus.ONGOING]),
                    st.sampled_from([FIRST, SECOND, (Method.REPLACEMENT,)]),
                    st.sampled_from(["e1", "e2"]),
                ),
            ),
        ),
        max_size=40,
    )
)
def test_whatever_happens_nothing_is_held_off_against_a_hand_or_beyond_its_time(history):
    memory, now = ShiftMemory(), NOW
    handled: set[tuple[str, str]] = set()
    for dt_s, code, seen, governing in history:
        now += timedelta(seconds=dt_s)
        before = memory
        wishes, memory = plan(governing, code, seen, memory, SETTINGS, now)
        assert (wishes, memory) == plan(governing, code, seen, before, SETTINGS, now)
        for name, load in seen.items():
            held = before.shifts.get(name)
            if load.by_hand and held is not None and held.stage == "off":
                handled.add((name, held.event_id))
        for name, on in wishes.items():
            shift = memory.shifts[name]
            if not on:
                assert now - shift.off_at <= RULES.longest_off
                assert (name, shift.event_id) not in handled
                assert now < shift.event_end + RULES.resume_within


def test_goals_do_not_matter_to_a_load_only_the_order_of_methods():
    for goal in (Goal(GoalKind.MINIMIZE), Goal(GoalKind.PLEDGE, 10.0)):
        loads = Loads()
        loads.cycle(NOW, replace(event(), goal=goal))
        assert loads.wishes == {"washer": False, "boiler": False}
