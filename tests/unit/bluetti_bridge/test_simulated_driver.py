"""What the simulated power station's answer must look like to be believed."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bluetti_bridge.drivers.simulated import Simulated, parse
from services.bluetti_bridge.errors import BadReply
from services.core.readings import BatteryReading

REPLY = {"soc_pct": 71.5, "ac_in_w": 0, "ac_out_w": 123.4, "dc_in_w": 50, "dc_out_w": 0, "ac_output_on": True, "eco_mode": False}
JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists, max_leaves=3)


def test_reads_every_field() -> None:
    assert parse(json.dumps(REPLY).encode()).reading == BatteryReading(71.5, 0, 123.4, 50, 0, True, False)


def test_what_is_missing_or_null_is_unknown_and_no_fault() -> None:
    reply = parse(b'{"soc_pct": null, "ac_out_w": 5}')
    assert reply.reading == BatteryReading(None, ac_out_w=5.0)
    assert reply.refused == ()


@pytest.mark.parametrize(
    "change",
    [{"soc_pct": 101}, {"soc_pct": "71"}, {"ac_out_w": -1}, {"dc_in_w": 1e6}, {"ac_in_w": True}, {"ac_output_on": 1}, {"eco_mode": "no"}],
)
def test_a_field_that_cannot_be_true_is_skipped_and_named_while_the_rest_counts(change: dict[str, Any]) -> None:
    reply = parse(json.dumps(REPLY | change).encode())
    name = next(iter(change))
    assert [refused.field for refused in reply.refused] == [name]
    assert getattr(reply.reading, name) is None
    assert sum(getattr(reply.reading, other) is None for other in REPLY) == 1


@pytest.mark.parametrize("body", [b"", b"\xff\xfe<html>", b"[1]", b'{"soc_pct": NaN}', b"[" * 100_000])
def test_what_is_no_reply_is_refused(body: bytes) -> None:
    with pytest.raises(BadReply) as caught:
        parse(body)
    assert caught.value.field == "body"


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(REPLY)), JSON) | JSON)
def test_no_body_raises_anything_else(said: Any) -> None:
    with contextlib.suppress(BadReply):
        parse(json.dumps(said).encode())


@pytest.mark.parametrize("address", ["127.0.0.1:18083", "https://127.0.0.1", "http://"])
def test_an_address_that_cannot_be_used_is_said_before_anything_starts(address: str) -> None:
    with pytest.raises(ValueError, match="use a base URL such as"):
        Simulated(address, 1.0)
