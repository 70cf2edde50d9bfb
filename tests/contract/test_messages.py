"""Every message survives the wire unchanged."""

import json

import pytest
from pydantic import ValidationError

from services.bus.contract import CHANNELS
from services.bus.examples import example
from services.bus.messages.base import Command, Telemetry

each_channel = pytest.mark.parametrize("channel", CHANNELS, ids=lambda c: c.pattern)


@each_channel
def test_a_message_comes_back_as_it_was_sent(channel) -> None:
    message = example(channel)
    assert type(message) is channel.model
    assert channel.model.model_validate_json(message.model_dump_json()) == message


@each_channel
def test_a_message_cannot_be_changed(channel) -> None:
    message = example(channel)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(message, next(iter(type(message).model_fields)), "changed")


@each_channel
def test_times_on_the_wire_are_utc_with_milliseconds(channel) -> None:
    body = json.loads(example(channel).model_dump_json())
    if issubclass(channel.model, Telemetry):
        assert body["ts"] == "2027-07-01T16:20:05.250Z"


@each_channel
def test_readers_of_telemetry_ignore_unknown_fields_and_commands_refuse_them(channel) -> None:
    body = json.dumps(example(channel).model_dump(mode="json") | {"unheard_of": 1})
    if issubclass(channel.model, Command):
        with pytest.raises(ValidationError, match="unheard_of"):
            channel.model.model_validate_json(body)
    else:
        assert channel.model.model_validate_json(body) == example(channel)


@each_channel
def test_a_command_is_never_retained_and_its_model_is_strict(channel) -> None:
    assert channel.command == issubclass(channel.model, Command)
    assert not (channel.command and channel.retain)
    assert channel.qos == 1 or not channel.retain
