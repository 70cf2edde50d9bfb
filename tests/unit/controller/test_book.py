"""Commands on the event book, as messages."""

from dataclasses import replace

import pytest

from services.bus.messages.events import EventCommand
from services.controller.book import obey
from services.core.event_book import Book
from services.core.events import BadValue, EventStatus
from services.core.modes import AtsPriority, allowed_modes
from services.core.preferences import Participation
from tests.unit.controller.conftest import NOW, SETTINGS, STATION

PREFERENCES = STATION.preferences.preferences()


def send(book=Book(), preferences=PREFERENCES, settings=SETTINGS, **command):  # noqa: B008 - a frozen value
    return obey(book, EventCommand.model_validate(command), preferences, settings, NOW)


def test_an_event_that_starts_now_is_ongoing_at_once():
    book, outcome = send(start="now")
    assert outcome.event is not None
    assert book.events[outcome.event.id].status is EventStatus.ONGOING


def test_the_same_command_at_another_time_makes_another_event():
    _, first = send(start="now", duration=1)
    _, second = send(start="now", duration=2)
    assert first.event.id != second.event.id


def test_an_event_by_a_method_this_hardware_lacks_is_refused_by_name():
    book, outcome = send(id="x", start="now", methods=["curtailment"])
    assert book.events["x"].status is EventStatus.REFUSED
    assert "P3" in outcome.refusal.remedy


def test_one_possible_method_of_several_is_enough():
    book, _ = send(id="x", start="now", methods=["curtailment", "replacement"])
    assert book.events["x"].is_open


def test_whoever_takes_no_part_refuses_and_says_so():
    book, outcome = send(preferences=replace(PREFERENCES, participation=Participation.NEVER), id="x", start="now")
    assert book.events["x"].status is EventStatus.REFUSED
    assert "not to take part" in outcome.refusal.remedy


def test_with_an_unmeasured_transfer_switch_events_are_refused():
    hardware = replace(SETTINGS.hardware, ats_priority=AtsPriority.UNKNOWN)
    book, _ = send(settings=replace(SETTINGS, hardware=hardware, allowed=allowed_modes(hardware)), id="x", start="now")
    assert "priority is unknown" in book.events["x"].status_reason


@pytest.mark.parametrize("action", ["cancel", "opt_out"])
def test_cancelling_and_opting_out_need_only_the_id(action):
    book, _ = send(id="x", start="now")
    book, outcome = send(book, action=action, id="x")
    assert outcome.event is not None
    assert not book.events["x"].is_open


def test_an_id_that_cannot_stand_in_a_topic_is_refused():
    with pytest.raises(BadValue):
        send(id="a/b", start="now")
