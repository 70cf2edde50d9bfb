"""Durations as people type them."""

from datetime import timedelta

import pytest

from services.core.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("PT1H", 60), ("PT90M", 90), ("P1D", 1440), (4, 240), ("4", 240), (0.5, 30), ("-PT1H", -60), (timedelta(minutes=7), 7)],
)
def test_iso_8601_and_hours(text, minutes):
    assert parse_duration(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "soon", "4 hours", "PT", True, None, [], float("nan"), float("inf"), 1e300, "P99999999999D"])
def test_anything_else_names_the_remedy(text):
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_duration(text)
