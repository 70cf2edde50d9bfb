"""Topic names: what is built is found again, and a literal beats a placeholder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus.contract import CHANNELS, CONTROLLER_STATE, EVENT, EVENT_BASELINE, EVENT_COMMAND, POSITION_READING
from services.bus.topics import Topics, parameters

TOPICS = Topics("demo", CHANNELS)
levels = st.text(st.characters(codec="utf-8", exclude_characters="/+#\0"), min_size=1, max_size=64).filter(lambda v: v != "command")


@given(channel=st.sampled_from(CHANNELS), data=st.data())
def test_what_is_built_is_identified(channel, data) -> None:
    params = {name: data.draw(levels) for name in parameters(channel)}
    assert TOPICS.identify(TOPICS.build(channel, params)) == (channel, params)


def test_an_event_command_is_never_an_event() -> None:
    found = TOPICS.identify("sps/demo/event/command")
    assert found is not None
    assert found[0] is EVENT_COMMAND
    assert TOPICS.filter(EVENT) == "sps/demo/event/+"


def test_a_topic_names_its_event() -> None:
    assert TOPICS.identify("sps/demo/event/e1/baseline") == (EVENT_BASELINE, {"event_id": "e1"})


@pytest.mark.parametrize(
    "topic", ["sps/other/controller/state", "controller/state", "sps/demo/event/e1/x", "sps/demo/event/", "$SYS/uptime"]
)
def test_other_topics_are_nobodys(topic) -> None:
    assert TOPICS.identify(topic) is None


@pytest.mark.parametrize("value", ["", "a/b", "+", "p#", "x\0", "x" * 65])
def test_a_value_that_is_no_level_is_refused(value) -> None:
    with pytest.raises(ValueError, match="position"):
        TOPICS.build(POSITION_READING, {"position": value})


@pytest.mark.parametrize("params", [{}, {"relay": "p1"}, {"position": "p1", "more": "x"}])
def test_wrong_parameters_are_refused(params) -> None:
    with pytest.raises(ValueError, match="takes position"):
        TOPICS.build(POSITION_READING, params)
    with pytest.raises(ValueError, match="takes no parameters"):
        TOPICS.build(CONTROLLER_STATE, {"position": "p1"})
