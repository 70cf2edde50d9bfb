"""Which commands can do anything to an event as it stands, and what counts as their answer."""

from datetime import UTC, datetime, timedelta

import pytest

from services.bus.messages.events import EventCommand, EventMessage
from services.core.config.policy import GoalSection
from services.core.events import EventStatus
from services.core.goals import GoalKind, Method
from services.gateway.commands import answers, conflict

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def event(status: EventStatus, revision: int = 0) -> EventMessage:
    goal = GoalSection(kind=GoalKind.MINIMIZE)
    return EventMessage(
        ts=NOW,
        id="a",
        revision=revision,
        start=NOW,
        end=NOW + timedelta(hours=1),
        goal=goal,
        methods=(Method.REPLACEMENT,),
        priority=0,
        status=status,
    )


def command(action: str, revision: int = 0) -> EventCommand:
    return EventCommand.model_validate(
        {"action": action, "id": "a", "revision": revision, **({"start": "now"} if action == "schedule" else {})}
    )


@pytest.mark.parametrize(
    ("action", "status", "possible"),
    [
        ("schedule", None, True),
        ("schedule", EventStatus.REFUSED, True),
        ("schedule", EventStatus.ONGOING, False),
        ("schedule", EventStatus.COMPLETED, False),
        ("cancel", None, False),
        ("cancel", EventStatus.SCHEDULED, True),
        ("cancel", EventStatus.ONGOING, True),
        ("cancel", EventStatus.CANCELLED, False),
        ("opt_out", EventStatus.UPCOMING, True),
        ("opt_out", EventStatus.COMPLETED, False),
        ("opt_in", EventStatus.OPTED_OUT, True),
        ("opt_in", EventStatus.ONGOING, False),
        ("opt_in", EventStatus.CANCELLED, False),
    ],
)
def test_a_command_without_effect_is_refused_with_a_reason(action: str, status: EventStatus | None, *, possible: bool) -> None:
    problem = conflict(command(action), event(status) if status else None)
    assert (problem is None) == possible
    if problem:
        assert problem.field == "id"
        assert problem.message
        assert problem.remedy


def test_a_higher_revision_amends() -> None:
    assert conflict(command("schedule", 2), event(EventStatus.SCHEDULED, 1)) is None
    problem = conflict(command("schedule", 1), event(EventStatus.SCHEDULED, 1))
    assert problem is not None
    assert "revision 2" in problem.remedy


@pytest.mark.parametrize(
    ("action", "status", "answered"),
    [
        ("schedule", EventStatus.SCHEDULED, True),
        ("schedule", EventStatus.REFUSED, True),
        ("cancel", EventStatus.ONGOING, False),
        ("cancel", EventStatus.CANCELLED, True),
        ("opt_out", EventStatus.OPTED_OUT, True),
        ("opt_in", EventStatus.OPTED_OUT, False),
        ("opt_in", EventStatus.ONGOING, True),
    ],
)
def test_the_answer_is_the_event_in_the_state_that_was_asked_for(action: str, status: EventStatus, *, answered: bool) -> None:
    assert answers(command(action), event(status)) is answered


def test_an_older_revision_is_no_answer_to_an_amendment() -> None:
    assert not answers(command("schedule", 2), event(EventStatus.SCHEDULED, 1))
