"""What a Shelly's answer must look like to be believed."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.relay_bridge.drivers.shelly_reply import Reply, RunningTimer, parse_frame, parse_initial_state, parse_status
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused
from services.relay_bridge.status import Status, discrepancy

# As a Plus 1PM answers.
REPLY: Reply = {
    "id": 0, "source": "HTTP_in", "output": False, "timer_started_at": 1626935739.79, "timer_duration": 60, "apower": 8.9,
    "voltage": 237.5, "freq": 50.0, "current": 0.039, "pf": 0.99,
    "aenergy": {"total": 6.532, "by_minute": [45.199, 47.141, 88.397], "minute_ts": 1626935779},
    "temperature": {"tC": 23.5, "tF": 74.4},
}  # fmt: skip

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=4
)


def test_reads_every_figure() -> None:
    status, timer = parse_status(REPLY)
    assert status == Status(False, 8.9, 237.5, 0.039, 6.532, 23.5, 60.0)
    assert timer == RunningTimer(1626935739.79, 60.0)


def test_what_is_missing_or_null_is_unknown() -> None:
    status, timer = parse_status({"output": True, "apower": None})
    assert status == Status(True)
    assert timer is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"output": "on"}, "output"),
        ({"output": None}, "output"),
        ({"apower": "8.9"}, "apower"),
        ({"apower": True}, "apower"),
        ({"apower": 1e9}, "apower"),
        ({"apower": float("inf")}, "apower"),
        ({"apower": float("nan")}, "apower"),
        ({"voltage": -1}, "voltage"),
        ({"current": [1]}, "current"),
        ({"aenergy": 12}, "aenergy"),
        ({"aenergy": {"total": -3}}, "aenergy.total"),
        ({"temperature": {"tC": 5000}}, "temperature.tC"),
        ({"timer_duration": None}, "timer_duration"),
        ({"timer_started_at": None}, "timer_started_at"),
    ],
)
def test_names_the_field_that_cannot_be_true(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadReply) as caught:
        parse_status(REPLY | change)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"\xff\xfe<html>", "body"),
        (b"", "body"),
        (b'{"id":1,"result":{"apower":NaN}}', "body"),
        (b"[1]", "body"),
        (b'{"id":2,"result":{}}', "id"),
        (b'{"result":{}}', "id"),
        (b'{"id":1}', "result"),
        (b'{"id":1,"result":"ok"}', "result"),
        (b"[" * 100_000, "body"),
    ],
)
def test_a_frame_that_is_none_is_refused(body: bytes, field: str) -> None:
    with pytest.raises(BadReply) as caught:
        parse_frame(body, 1)
    assert caught.value.field == field


def test_an_error_frame_is_a_refusal() -> None:
    with pytest.raises(DeviceRefused, match="Argument 'id', value 3 not found!"):
        parse_frame(b'{"id":1,"src":"x","error":{"code":-105,"message":"Argument \'id\', value 3 not found!"}}', 1)


def test_the_boot_state_is_a_word() -> None:
    assert parse_initial_state({"initial_state": "restore_last"}) == "restore_last"
    with pytest.raises(BadReply, match="initial_state"):
        parse_initial_state({})


@settings(max_examples=50)
@given(st.binary(max_size=200) | JSON.map(lambda v: json.dumps({"id": 1, "result": v}).encode()))
def test_no_body_raises_anything_else(body: bytes) -> None:
    with contextlib.suppress(DeviceError):
        parse_status(parse_frame(body, 1))


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(REPLY)), JSON))
def test_no_reply_raises_anything_else(change: dict[str, Any]) -> None:
    with contextlib.suppress(BadReply):
        parse_status(REPLY | change)


@pytest.mark.parametrize(
    ("status", "on", "timer_s", "difference"),
    [
        (Status(True), True, None, None),
        (Status(False, timer_s=59.5), False, 60.0, None),
        (Status(True), False, None, "is on though off was set"),
        (Status(True, timer_s=20.0), True, None, "is on, but its timer still runs"),
        (Status(False), False, 60.0, "is off, but runs no timer"),
        (Status(False, timer_s=40.0), False, 60.0, "is off, but its timer has 40 s left instead of 60 s"),
    ],
)
def test_a_read_back_is_compared_with_what_was_set(status: Status, on: bool, timer_s: float | None, difference: str | None) -> None:
    assert discrepancy(status, on=on, timer_s=timer_s) == difference
