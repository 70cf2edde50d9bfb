"""What is typed becomes an event, or is refused by the field that is wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.aggregator.calling import Typed, amended, called
from services.core.events import BadValue
from services.core.goals import GoalKind

NOW = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Paris")
GOOD = Typed("16:00", "PT4H", "pledge", "150")


def make(typed: Typed) -> object:
    return called(typed, "one", NOW, ZONE, ["house-1"])


def test_a_local_time_is_local() -> None:
    one = called(GOOD, "one", NOW, ZONE, [])
    assert (one.start, one.end - one.start) == (datetime(2026, 12, 1, 15, 0, tzinfo=UTC), timedelta(hours=4))
    assert one.goal is not None
    assert (one.goal.kind, one.goal.reduction_w) == (GoalKind.PLEDGE, 150)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("start", {"start": "yesterday"}),
        ("start", {"start": "2026-12-01T12:00:00Z"}),
        ("start", {"start": "2026-12-01T20:00:00"}),
        ("start", {"start": "2100-01-01T00:00:00Z"}),
        ("duration", {"duration": "PT0S"}),
        ("duration", {"duration": "P7D"}),
        ("duration", {"duration": "long"}),
        ("duration", {"duration": "nan"}),
        ("goal", {"goal": "more"}),
        ("watts", {"watts": "many"}),
        ("goal", {"watts": "nan"}),
        ("goal", {"watts": "-5"}),
        ("goal", {"watts": ""}),
        ("goal", {"goal": "minimize"}),
        ("watts", {"goal": ""}),
        ("methods", {"methods": ["magic"]}),
        ("stations", {"stations": ["nobody"]}),
        ("notice", {"notice": "two\x07bells"}),
        ("programme", {"programme": "Con Edison"}),
        ("priority", {"priority": -1}),
    ],
)
def test_what_no_station_would_take_is_refused_by_name(field: str, change: dict[str, object]) -> None:
    with pytest.raises(BadValue) as refused:
        make(replace(GOOD, **change))  # type: ignore[arg-type]
    assert refused.value.field == field


def test_amending_changes_what_was_typed_and_nothing_else() -> None:
    before = called(GOOD, "one", NOW, ZONE, [])
    after = amended(before, Typed("", "PT2H"), NOW, ZONE)
    assert (after.start, after.goal, after.end - after.start) == (before.start, before.goal, timedelta(hours=2))
    with pytest.raises(BadValue, match="over already"):
        amended(replace(before, start=NOW - timedelta(hours=3)), Typed("", "PT2H"), NOW, ZONE)
