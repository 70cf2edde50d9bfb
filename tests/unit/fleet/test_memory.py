"""What a crowd did is there for its next run, and nothing that cannot be used stands in its way."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.simulator.fleet.home import Span
from services.simulator.fleet.memory import MATTERS_FOR, Done, recall, remember

NOW = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_each_run_adds_to_what_others_did(tmp_path: Path) -> None:
    path = tmp_path / "aggregator" / "fleet.json"
    one, two = Done.of({"e": Span(NOW - HOUR, NOW)}, NOW), Done.of({}, None)
    remember(path, "n", {"a": one})
    remember(path, "n", {"b": two})
    assert recall(path, "n") == {"a": one, "b": two}
    assert recall(path, "n")["a"].spans == {"e": Span(NOW - HOUR, NOW)}
    assert recall(path, "other") == {}


def test_an_event_that_no_hour_to_come_can_show_is_forgotten() -> None:
    end = NOW - MATTERS_FOR
    spans = {"old": Span(end - HOUR, end), "new": Span(end - HOUR, end + timedelta(minutes=1))}
    assert list(Done.of(spans, NOW).spans) == ["new"]
    assert list(Done.of(spans, None).spans) == ["old", "new"]


@pytest.mark.parametrize("text", ["", "{", '{"network": "n", "stations": {"a": {"sent_until": "today"}}}'])
def test_a_damaged_file_is_passed_over_and_written_anew(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(text, encoding="utf-8")
    assert recall(path, "n") == {}
    remember(path, "n", {"a": Done(sent_until=NOW)})
    assert recall(path, "n")["a"].sent_until == NOW
