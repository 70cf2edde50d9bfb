"""Prices by hour, weekday and season, and what a kilowatt-hour out of the battery costs."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.core.battery import Battery
from services.core.config.tariff import TariffSection
from services.core.tariff import ahead, prices
from services.core.wear import Wear, break_even, wear_per_kwh

NEW_YORK = ZoneInfo("America/New_York")
TARIFF = TariffSection.model_validate(
    {
        "currency": "USD",
        "rates": [
            {"name": "peak", "price_per_kwh": 0.42, "hours": "14:00-20:00", "days": "weekdays", "season": "06-01..09-30"},
            {"name": "night", "price_per_kwh": 0.08, "hours": "22:00-06:00"},
            {"name": "day", "price_per_kwh": 0.2},
        ],
    }
).tariff()
BOX = Battery(1152, 20, 1800, 700, 9, 0.85, 0.93)


def price_at(local: str) -> tuple[str, float]:
    here = ahead(TARIFF, datetime.fromisoformat(local).replace(tzinfo=NEW_YORK).astimezone(UTC), NEW_YORK)[0]
    return here.name, here.price


@pytest.mark.parametrize(
    ("local", "name"),
    [
        ("2026-07-01T15:00", "peak"),
        ("2026-07-04T15:00", "day"),  # a Saturday
        ("2026-09-30T19:59", "peak"),
        ("2026-10-01T15:00", "day"),
        ("2026-07-01T20:00", "day"),
        ("2026-07-01T23:00", "night"),
        ("2026-07-01T03:00", "night"),
    ],
)
def test_the_first_rate_that_holds_counts(local, name):
    assert price_at(local)[0] == name


def test_a_night_rate_is_one_span_over_midnight():
    spans = ahead(TARIFF, datetime(2026, 7, 2, 3, tzinfo=UTC), NEW_YORK)  # 23:00
    assert (spans[0].name, (spans[0].end_s - spans[0].begin_s) / 3600) == ("night", 8.0)


@given(st.integers(0, 2 * 365 * 1440))
def test_every_moment_has_one_price_and_the_day_ahead_has_no_gap(minutes):
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    spans = ahead(TARIFF, now, NEW_YORK)
    assert spans[0].begin_s <= now.timestamp() < spans[0].end_s
    assert all(a.end_s == b.begin_s for a, b in pairwise(spans))
    assert spans[-1].end_s >= spans[0].begin_s + 24 * 3600


def test_the_clock_change_makes_a_night_longer_and_loses_no_second():
    spans = prices(TARIFF, datetime(2026, 10, 31, tzinfo=NEW_YORK).date(), NEW_YORK)
    night = next(span for span in spans if span.name == "night" and span.end_s - span.begin_s > 7 * 3600)
    assert (night.end_s - night.begin_s) / 3600 == 9.0


@pytest.mark.parametrize(
    "rates",
    [
        [{"price_per_kwh": 0.2, "hours": "08:00-20:00"}],
        [{"price_per_kwh": -0.1}],
        [{"price_per_kwh": 0.2, "season": "13-01..02-01"}, {"price_per_kwh": 0.1}],
        [{"price_per_kwh": 0.2, "season": "02-30..03-01"}, {"price_per_kwh": 0.1}],
        [{"price_per_kwh": 0.2, "days": "sundays"}, {"price_per_kwh": 0.1}],
        [],
    ],
)
def test_a_tariff_that_leaves_hours_without_a_price_or_cannot_be_is_refused(rates):
    with pytest.raises(ValidationError):
        TariffSection.model_validate({"rates": rates})


def test_wear_and_break_even_are_what_the_formula_says():
    wear = Wear(price=700, cycles=3500, depth_pct=80)
    assert wear_per_kwh(wear, BOX) == pytest.approx(700 / (3500 * 0.8 * 1.152) / 0.85)
    assert break_even(0.1, wear, BOX) == pytest.approx(0.1 / 0.93 / 0.85 + wear_per_kwh(wear, BOX))
    assert break_even(0.1, Wear(0, 3500, 80), BOX) > 0.1, "losses alone cost something"
