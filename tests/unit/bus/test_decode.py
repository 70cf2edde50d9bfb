"""A bad payload is answered with the field, its value and what would be right."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus.decode import MAX_BYTES, Refused, decode
from services.bus.messages.devices import PositionReading, RelayCommand
from services.bus.messages.events import EventCommand
from services.bus.messages.state import Override

BAD_COMMANDS = [
    (b"", "", "JSON"),
    (b"start now", "", "JSON"),
    (b"[]", "", "object"),
    (b'"now"', "", "object"),
    (b"\xff\xfe", "", "UTF-8"),
    (b"[" * 5000, "", "JSON"),
    (b"x" * (MAX_BYTES + 1), "", "at most 65536"),
    (b"{}", "start", "needs a start"),
    (b'{"start":null}', "start", "needs a start"),
    (b'{"start":5}', "start", '"now"'),
    (b'{"action":"cancel"}', "id", "needs the id"),
    (b'{"action":"restart","start":"now"}', "action", "'schedule'"),
    (b'{"start":"now","begin":"16:00"}', "begin", "known are action, id"),
    (b'{"start":"now","duration":"soon"}', "duration", "ISO 8601"),
    (b'{"start":"now","duration":true}', "duration", "ISO 8601"),
    (b'{"start":"now","goal":{"kind":"pledge"}}', "goal", "reduction_w"),
    (b'{"start":"now","goal":{"kind":"pledge","reduction_w":NaN}}', "goal.reduction_w", "finite"),
    (b'{"start":"now","goal":{"kind":"pledge","reduction_w":-1}}', "goal", "reduction_w"),
    (b'{"start":"now","revision":"2"}', "revision", "integer"),
    (b'{"start":"now","methods":[]}', "methods", "at least 1"),
]


@pytest.mark.parametrize(("payload", "field", "remedy"), BAD_COMMANDS)
def test_a_bad_event_command_is_refused_by_field_and_remedy(payload, field, remedy) -> None:
    with pytest.raises(Refused) as refused:
        decode(EventCommand, payload)
    problem = refused.value.problems[0]
    assert problem.field == field
    assert remedy in problem.remedy
    assert len(problem.value) <= 80


@pytest.mark.parametrize("on", [b'"off"', b"0", b"null", b"[]"])
def test_a_relay_is_switched_by_true_or_false_only(on) -> None:
    with pytest.raises(Refused, match="boolean"):
        decode(RelayCommand, b'{"ts":"2027-01-01T00:00:00Z","command_id":"c","hold_s":30,"on":' + on + b"}")


@pytest.mark.parametrize("payload", [b"{}", b'{"mode":2,"release":true}', b'{"release":false}'])
def test_an_override_is_a_mode_or_a_release(payload) -> None:
    with pytest.raises(Refused, match="either a mode"):
        decode(Override, payload)


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(Refused, match="ts"):
        decode(PositionReading, b'{"ts":"2027-01-01T00:00:00","power_w":1,"device":"x"}')


@pytest.mark.parametrize("ts", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_that_the_calendar_has_only_with_its_offset_is_refused(ts) -> None:
    with pytest.raises(Refused, match="ts") as refused:
        decode(PositionReading, f'{{"ts":"{ts}","power_w":1,"device":"x"}}'.encode())
    assert "beyond the calendar" in refused.value.problems[0].remedy


def test_unknown_fields_of_telemetry_are_ignored_and_null_stays_unknown() -> None:
    reading = decode(PositionReading, b'{"ts":"2027-01-01T01:00:00+01:00","power_w":null,"device":"x","colour":"red"}')
    assert reading.power_w is None
    assert reading.model_dump(mode="json")["ts"] == "2027-01-01T00:00:00.000Z"


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.dictionaries(st.sampled_from(list(EventCommand.model_fields)), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_comes_is_a_message_or_a_refusal(payload) -> None:
    try:
        decode(EventCommand, payload)
    except Refused as refused:
        assert refused.problems  # noqa: PT017 - either outcome is right
