"""The low-bias estimate: learns what there is to learn, looks at nothing that comes later, and keeps its interval's word."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.low_bias import estimate as module
from services.core.low_bias.band import FEWEST_DAYS, Band, Said
from services.core.low_bias.days import Day, Hour, Past, past_of
from services.core.low_bias.estimate import Judge
from services.core.low_bias.features import FEWEST_DAYS as FEWEST_ALIKE
from services.core.low_bias.features import Window
from services.core.low_bias.walk import REGRESSION, TREES, walk

PARIS = ZoneInfo("Europe/Paris")
FIRST = date(2026, 1, 5)  # a Monday
EVENING = Window(16, 20)


def estimate(walked):
    return module.estimate(walked)


def around(band, level):
    return band.around(level, 4.0)


def estimated(judge, trial):
    return judge.estimate(trial.said_wh, trial.scale_wh)


def home(days, load_of, *, temperature_of=None):
    """Days of 24 hours: `load_of(day number, hour)`; None is unknown."""
    return Past(
        tuple(
            Day(
                FIRST + timedelta(days=i),
                tuple(load_of(i, h) for h in range(24)),
                tuple(temperature_of(i, h) if temperature_of else None for h in range(24)),
                i % 7 >= 5,
            )
            for i in range(days)
        )
    )


def ask(past, window=EVENING, *, back=1, day_of=True, learn=None):
    return walk(past, window, past.days[-back].day, day_of=day_of, learn=learn)


def noisy(seed, days, *, amplitude=0.4):
    random = Random(seed)
    level = [random.gauss(1.0, 0.3) for _ in range(days)]
    return home(days, lambda i, h: max(5.0, (100 + 10 * h) * max(0.1, level[i]) * random.lognormvariate(0, amplitude)))


def test_an_even_home_is_estimated_exactly() -> None:
    found = estimate(ask(home(80, lambda _, h: 100.0 + h)))
    assert found.load_wh == tuple(pytest.approx(100.0 + h) for h in EVENING.hours)
    assert found.total_wh == pytest.approx(sum(100.0 + h for h in EVENING.hours))


def test_a_day_that_begins_high_is_expected_to_go_on_high() -> None:
    random = Random(1)
    levels = [random.uniform(0.5, 1.5) for _ in range(120)]
    levels[-1] = 1.5
    past = home(120, lambda i, _: 100 * levels[i])
    with_morning, without = estimate(ask(past)), estimate(ask(past, day_of=False))
    assert with_morning.method == REGRESSION
    assert with_morning.load_wh[0] == pytest.approx(150, rel=0.05)
    assert without.load_wh[0] == pytest.approx(100, rel=0.15)


def test_heat_counts_where_it_is_known() -> None:
    random = Random(2)
    heat = [random.uniform(15, 35) for _ in range(150)]
    heat[-1] = 34.0
    cooled = home(150, lambda i, h: 100 + (20 * max(0.0, heat[i] - 20) if h >= 15 else 0), temperature_of=lambda i, _: heat[i])
    found = estimate(ask(cooled))
    assert found.load_wh[0] == pytest.approx(100 + 20 * 14, rel=0.1)


def test_nothing_from_the_events_start_on_has_any_influence() -> None:
    past = noisy(3, 90)
    last = past.days[-1]
    other = Day(last.day, (*last.load_wh[:16], *(9999.0 for _ in range(8))), last.temperature_c, last.restful)
    changed = Past((*past.days[:-1], other))
    assert estimate(ask(past)) == estimate(ask(changed))


def test_a_trial_knows_nothing_of_the_days_after_it() -> None:
    past = noisy(4, 90)
    longer, shorter = ask(past).trials, ask(Past(past.days[:60])).trials
    assert shorter == longer[: len(shorter)]


def test_a_young_home_has_no_interval_and_a_newborn_no_estimate() -> None:
    assert estimate(ask(noisy(5, FEWEST_ALIKE))) is None
    young = estimate(ask(noisy(5, 12)))
    assert (young.low_wh, young.total_low_wh) == (None, None)
    assert min(young.load_wh) > 0
    assert estimate(ask(noisy(5, 120))).low_wh is not None


@pytest.mark.parametrize("seed", range(2))
def test_on_noisy_homes_it_is_nearly_unbiased_and_the_interval_keeps_its_word(seed) -> None:
    past = noisy(seed, 330)
    judged, said, came, within = 0, 0.0, 0.0, 0.0
    judge = Judge()
    for trial in ask(past).trials:
        if trial.restful:
            continue
        if judged > 90:
            found = estimated(judge, trial)
            said, came = said + found.total_wh, came + sum(trial.actual_wh)
            hits = [low <= wh <= high for low, wh, high in zip(found.low_wh, trial.actual_wh, found.high_wh, strict=True)]
            within += sum(hits) / len(hits)
        judge.heard(trial)
        judged += 1
    assert abs(said / came - 1) < 0.05
    assert 0.84 < within / (judged - 91) < 0.95


def test_a_home_that_changes_is_followed() -> None:
    random = Random(7)
    past = home(200, lambda i, _: (100 if i < 140 else 200) * random.uniform(0.9, 1.1))
    assert estimate(ask(past)).load_wh[0] == pytest.approx(200, rel=0.06)


def test_trees_are_tried_where_there_is_a_way_to_grow_them() -> None:
    grown = []

    def learn(rows, targets):
        grown.append(len(rows))
        return lambda asked: [1.0 for _ in asked]

    walked = ask(noisy(8, 200), learn=learn)
    assert TREES in walked.said_wh
    assert grown == sorted(grown)
    assert 1 <= len(grown) <= 7  # anew each month, from the first with enough


def test_unknown_hours_are_no_noughts() -> None:
    past = home(90, lambda i, h: None if (i * 7 + h) % 11 == 0 else 50.0)
    found = estimate(ask(past))
    assert found.load_wh == tuple(pytest.approx(50.0) for _ in EVENING.hours)


def test_a_window_over_midnight() -> None:
    past = home(90, lambda _, h: 10.0 * h)
    assert estimate(ask(past, Window(22, 26), back=2)).load_wh == tuple(pytest.approx(wh) for wh in (220, 230, 0, 10))


def test_days_of_23_and_25_hours() -> None:
    # Paris, 2026: 29 March skips 2 to 3 h, 25 October has them twice.
    for day, known in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 24)):
        begin = datetime(day.year, day.month, day.day, tzinfo=PARIS).astimezone(UTC)
        hours = [Hour(start, 10.0) for i in range(26) if (start := begin + timedelta(hours=i)).astimezone(PARIS).date() == day]
        (found,) = past_of(hours, PARIS, day).days
        assert len(hours) == (23 if known == 23 else 25)
        assert sum(wh is not None for wh in found.load_wh) == known
        assert (found.load_wh[2] is None) == (known == 23)


def test_a_holiday_is_a_day_of_rest() -> None:
    monday = date(2026, 7, 13)
    hours = [Hour(datetime(2026, 7, 13, h, tzinfo=UTC), 1.0) for h in range(24)]
    assert [day.restful for day in past_of(hours, ZoneInfo("UTC"), monday, frozenset({monday})).days] == [True]


def test_a_target_outside_of_the_past_is_refused() -> None:
    past = home(20, lambda *_: 1.0)
    with pytest.raises(ValueError, match="outside"):
        walk(past, EVENING, FIRST + timedelta(days=20), day_of=True)


@settings(max_examples=4, deadline=None)
@given(st.floats(0.05, 50), st.integers(0, 1000))
def test_it_scales_with_the_home(factor, seed) -> None:
    past = noisy(seed, 50)
    scaled = Past(tuple(Day(d.day, tuple(factor * (wh or 0) for wh in d.load_wh), d.temperature_c, d.restful) for d in past.days))
    one, other = estimate(ask(past)), estimate(ask(scaled))
    assert other.load_wh == tuple(pytest.approx(factor * wh, rel=1e-6) for wh in one.load_wh)
    assert (other.method, other.error) == (one.method, pytest.approx(one.error))


@settings(max_examples=30)
@given(st.lists(st.floats(-1, 3), min_size=FEWEST_DAYS, max_size=80), st.floats(0, 100))
def test_an_interval_holds_its_estimate_and_is_never_below_nothing(residuals, level) -> None:
    band = Band()
    for residual in residuals:
        band.heard([Said(10.0, max(0.0, 10.0 + residual * 4), 4.0)])
    low, high = around(band, level)
    assert 0.0 <= low <= level <= high
