"""What the parsers make of the payload forms that the vendor documents, Gen1 to Gen4."""

import contextlib
import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.relay_bridge.drivers import shelly_gen1_reply, shelly_reply
from services.relay_bridge.errors import BadReply
from services.relay_bridge.status import Status

FORMS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path("tests/fixtures/shelly").glob("*.json"))}
GEN1 = FORMS["gen1_1pm_on"]["reply"]


def parsed(form: dict[str, Any]) -> Status:
    if form["generation"] == 1:
        return shelly_gen1_reply.parse_status(form["reply"], form["channel"])
    return shelly_reply.parse_status(form["reply"])[0]


def test_every_generation_is_there_with_and_without_metering_and_with_two_channels() -> None:
    assert {form["generation"] for form in FORMS.values()} == {1, 2, 3, 4}
    for generation in (1, 2, 3, 4):
        of_it = [form for form in FORMS.values() if form["generation"] == generation]
        assert {form["expected"]["power_w"] is None for form in of_it} == {True, False}
        assert any("2" in form["device"].split("Gen")[0] for form in of_it)


@pytest.mark.parametrize("name", FORMS)
def test_a_documented_form_is_read(name: str) -> None:
    assert asdict(parsed(FORMS[name])) == pytest.approx(FORMS[name]["expected"])


@pytest.mark.parametrize(
    ("part", "change", "field"),
    [
        ("relays", {"ison": "on"}, "relays.0.ison"),
        ("relays", {"ison": None}, "relays.0.ison"),
        ("relays", {"has_timer": 1}, "relays.0.has_timer"),
        ("relays", {"has_timer": None}, "relays.0.has_timer"),
        ("relays", {"has_timer": True, "timer_remaining": None, "timer_duration": None}, "relays.0.timer_remaining"),
        ("relays", {"has_timer": True, "timer_remaining": -1}, "relays.0.timer_remaining"),
        ("meters", {"power": "42"}, "meters.0.power"),
        ("meters", {"power": 1e9}, "meters.0.power"),
        ("meters", {"total": -5}, "meters.0.total"),
        ("meters", {"total": True}, "meters.0.total"),
    ],
)
def test_names_the_field_of_a_gen1_reply_that_cannot_be_true(part: str, change: dict[str, Any], field: str) -> None:
    reply = copy.deepcopy(GEN1)
    reply[part][0] |= change
    with pytest.raises(BadReply) as caught:
        shelly_gen1_reply.parse_status(reply, 0)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "reply", [{}, {"relays": {}}, {"relays": [1]}, {"relays": []}, {"relays": [{"ison": True, "has_timer": False}], "meters": 5}]
)
def test_a_reply_that_is_none_is_refused(reply: dict[str, Any]) -> None:
    with pytest.raises(BadReply):
        shelly_gen1_reply.parse_status(reply, 0)


def test_a_channel_that_is_not_there_is_said_so() -> None:
    with pytest.raises(BadReply, match="relays is '1 of them', expected one for channel 1"):
        shelly_gen1_reply.parse_status(GEN1, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=4
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(GEN1)), JSON), st.sampled_from(sorted(GEN1["relays"][0])), JSON)
def test_no_gen1_reply_raises_anything_else(change: dict[str, Any], name: str, value: object) -> None:
    reply = copy.deepcopy(GEN1) | change
    with contextlib.suppress(BadReply):
        shelly_gen1_reply.parse_status(reply, 0)
    reply = copy.deepcopy(GEN1)
    reply["relays"][0][name] = value
    with contextlib.suppress(BadReply):
        shelly_gen1_reply.parse_status(reply, 0)


@pytest.mark.parametrize(
    ("params", "channel", "told"),
    [
        ({"ts": 1, "switch:0": {"id": 0, "output": True, "source": "switch"}}, 0, True),
        ({"ts": 1, "switch:0": {"id": 0, "output": True, "source": "switch"}}, 1, False),
        ({"ts": 1, "switch:1": {"id": 1, "output": False, "source": "timer"}}, 1, True),
        ({"ts": 1, "switch:0": {"id": 0, "apower": 12.5}}, 0, False),
        ({"ts": 1, "switch:0": {"id": 0, "aenergy": {"total": 1.0, "by_minute": [0, 0, 0], "minute_ts": 1}}}, 0, False),
        ({"ts": 1, "switch:0": None}, 0, False),
        ({"ts": 1, "wifi": {"rssi": -50}}, 0, False),
        (None, 0, False),
    ],
)
def test_only_a_notification_of_the_output_is_a_reason_to_look(params: object, channel: int, told: bool) -> None:
    frame = {"src": "shellyplus2pm-a8", "dst": "sps", "method": "NotifyStatus", "params": params}
    assert shelly_reply.moved(frame, channel) is told
    assert not shelly_reply.moved(frame | {"method": "NotifyEvent"}, channel)
