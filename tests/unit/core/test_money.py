"""Payments, factors and wear, reckoned by hand."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus import programmes
from services.core.money import SettledEvent, event_payment, months, performance_factor, season, wear_per_wh
from services.core.programme import PerformanceFactor

CONED = programmes.load("coned-csrp")
assert CONED.season is not None
assert CONED.rates is not None
SEASON, RATES = CONED.season.span(2026), CONED.rates


def event(day, reduction_wh=600.0, factor=0.75, **more):
    figures = {"avoided_wh": 580.0, "pv_wh": 20.0, "estimate_wh": 500.0, "given_wh": 600.0, "payment": 0.6, "covered": 1.0}
    return SettledEvent(id=str(day), day=day, reduction_wh=reduction_wh, factor=factor, **{**figures, **more})


@pytest.mark.parametrize(
    ("mean_w", "factor"),
    [(150, 0.75), (200, 1.0), (260, 1.0), (-40, 0.0), (133.4, 0.67)],  # 133.4 / 200 = 0.667, two decimals
)
def test_the_factor_is_the_mean_reduction_over_the_pledge_within_bounds(mean_w, factor) -> None:
    assert performance_factor(mean_w, 200, PerformanceFactor()) == factor


def test_a_factor_without_a_pledge_is_refused() -> None:
    with pytest.raises(ValueError, match="pledge above zero"):
        performance_factor(100, 0, PerformanceFactor())


def test_a_kilowatt_hour_pays_a_dollar_and_a_loss_costs_nothing() -> None:
    assert event_payment(600, RATES) == pytest.approx(0.6)
    assert event_payment(-100, RATES) == 0.0


def test_wear_by_hand() -> None:
    # 700 for 3500 cycles of 1152 Wh, 85 % of which come out: 700 / 3427.2 kWh = 0.204 a kilowatt-hour.
    assert 1000 * wear_per_wh(700, 3500, 1152, 0.85) == pytest.approx(0.2042, abs=1e-4)


def test_a_season_by_hand() -> None:
    # Pledge 200 W. May has no event and nothing before it: no factor, nothing reserved. June: factors 1.00 and 0.50, mean 0.75, so
    # 0.2 kW x 18 x 0.75 = 2.70. July has none and takes June's: 2.70. Wear 0.0002 a Wh: June 1200 Wh, 0.24.
    events = [event(date(2026, 6, 10), factor=1.0), event(date(2026, 6, 20), factor=0.5)]
    found = months(events, SEASON, date(2026, 7, 15), CONED, 200, 0.0002)
    assert [(m.first.month, m.events, m.factor, m.reservation) for m in found] == [
        (5, 0, None, 0),
        (6, 2, 0.75, pytest.approx(2.7)),
        (7, 0, 0.75, pytest.approx(2.7)),
    ]
    total = season(found, events)
    assert (total.reduction_wh, total.reservation, total.performance) == (1200, pytest.approx(5.4), pytest.approx(1.2))
    assert (total.paid, total.wear) == (pytest.approx(6.6), pytest.approx(0.24))


def test_two_hundred_watts_earn_about_eighteen_dollars_a_season() -> None:
    found = months([event(date(2026, 5, 1), factor=1.0)], SEASON, date(2026, 12, 1), CONED, 200, None)
    assert season(found, []).reservation == pytest.approx(18.0)  # five months of 0.2 kW x 18


def test_what_is_not_known_is_not_counted_as_nothing() -> None:
    silent = event(date(2026, 6, 1), reduction_wh=None, factor=None, avoided_wh=None, payment=None, given_wh=None)
    (may, june) = months([silent], SEASON, date(2026, 6, 30), CONED, 200, 0.0002)
    assert (june.events, june.unknown, june.reduction_wh, june.avoided_wh, june.wear) == (1, 1, None, None, None)
    assert may.reduction_wh == 0
    assert season([may, june], [silent]).reduction_wh is None


@given(st.lists(st.floats(-1000, 1000), max_size=12))
def test_the_season_is_the_sum_of_its_months(reductions) -> None:
    events = [event(date(2026, 5 + i % 5, 1 + i), reduction_wh=wh) for i, wh in enumerate(reductions)]
    total = season(months(events, SEASON, date(2026, 12, 1), CONED, 200, 0.0), events)
    assert total.reduction_wh == pytest.approx(sum(reductions), abs=1e-6)
    assert total.events == len(events)
