"""The AC output as an actuator: carried out once, let go of when nobody renews, and never against a person's finger."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bluetti_bridge.output import (
    UNASKED_HOLD_S,
    Output,
    Wish,
    carried_out,
    due,
    heard,
    next_change,
    not_carried_out,
    read,
    started,
)

REST = started(safe=True, ours=False, now=0.0)
OFF = Wish(False, "a", 30.0)


def switched_off(now=1.0):
    return carried_out(heard(REST, OFF), False)


def test_a_wish_is_carried_out_once_and_a_renewal_needs_nothing():
    output = heard(REST, OFF)
    assert due(output, 1.0) is False
    output = carried_out(output, False)
    assert due(output, 1.0) is None
    renewed = heard(output, replace(OFF, until=40.0))
    assert due(renewed, 35.0) is None
    assert due(heard(renewed, Wish(True, "b", 60.0)), 36.0) is True


def test_a_wish_that_nobody_renews_lapses_into_the_safe_state():
    output = switched_off()
    assert next_change(output, 1.0) == 30.0
    assert due(output, 29.9) is None
    assert due(output, 30.0) is True
    assert due(carried_out(output, True), 31.0) is None


def test_a_bridge_that_died_with_the_output_off_is_followed_by_one_that_looks_after_it():
    after = started(safe=True, ours=True, now=100.0)
    assert due(after, 100.0 + UNASKED_HOLD_S - 0.1) is None
    assert due(after, 100.0 + UNASKED_HOLD_S) is True
    # The controller is alive: its renewal keeps the output as it is.
    kept = carried_out(heard(after, replace(OFF, until=150.0)), False)
    assert due(kept, 140.0) is None
    assert due(kept, 150.0) is True


def test_what_a_person_switched_off_at_the_box_stays_off_and_is_said_so():
    output = carried_out(heard(REST, Wish(True, "b", 30.0)), True)
    pressed = read(output, False)
    assert "switched at the power station itself" in (pressed.fault or "")
    assert [due(pressed, now) for now in (2.0, 29.0, 31.0, 1000.0)] == [None] * 4
    assert read(pressed, True).fault is None
    assert due(read(REST, False), 1000.0) is None, "nor without any command"


def test_a_failure_is_tried_again_later_and_later_and_a_new_command_at_once():
    output, now, waits = heard(REST, replace(OFF, until=1e9)), 0.0, []
    for _ in range(8):
        assert due(output, now) is False
        output = not_carried_out(output, False, "no answer", now)
        assert due(output, now) is None
        wait = next_change(output, now)
        assert wait is not None
        waits.append(wait - now)
        now = wait
    assert waits == sorted(waits)
    assert waits[-1] == 60.0
    assert output.fault == "not switched off: no answer"
    assert output.on is None
    assert due(heard(output, Wish(True, "b", 1e9)), now - 1.0) is True


def test_an_attempt_that_was_not_confirmed_may_have_worked_and_is_let_go_of_all_the_same():
    unsure = not_carried_out(heard(REST, OFF), False, "no answer", 1.0)
    assert due(unsure, 31.0) is True


steps = st.lists(
    st.one_of(
        st.builds(lambda on, name, hold: ("heard", on, name, hold), st.booleans(), st.sampled_from("abc"), st.floats(1, 60)),
        st.builds(lambda on: ("read", on), st.sampled_from([True, False, None])),
        st.builds(lambda works: ("act", works), st.booleans()),
        st.builds(lambda s: ("wait", s), st.floats(0.1, 100)),
    ),
    max_size=30,
)


@given(steps, st.booleans(), st.booleans())
def test_after_silence_nothing_that_we_did_stands_unsafe(history, safe, ours):
    output, now = started(safe=safe, ours=ours, now=0.0), 0.0
    for kind, *what in history:
        if kind == "heard":
            output = heard(output, Wish(what[0], what[1], now + what[2]))
        elif kind == "read":
            output = read(output, what[0])
        elif kind == "wait":
            now += what[0]
        elif (on := due(output, now)) is not None:
            output = carried_out(output, on) if what[0] else not_carried_out(output, on, "no answer", now)
    now += 1000.0
    if (on := due(output, now)) is not None:
        assert on == safe
        output = carried_out(output, on)
    assert output.lapses_at is None
    assert due(output, now + 1000.0) is None


@pytest.mark.parametrize("on", [True, False, None])
def test_reading_alone_never_gives_cause_to_switch(on):
    assert due(read(Output(safe=True), on), 1e6) is None
