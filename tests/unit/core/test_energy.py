from itertools import pairwise
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.energy import Flows, PowerSeries, Quantity, integrate
from services.core.positions import Position

GAP_S = 150.0
START = 1_700_000_000.0

samples = st.lists(
    st.tuples(st.integers(0, 7200).map(lambda s: START + s), st.one_of(st.none(), st.floats(-5000, 5000))), min_size=0, max_size=80
)


def energy(pairs, start=START, end=START + 3600, gap=GAP_S):
    return integrate(PowerSeries.of(pairs), start, end, max_gap_s=gap)


def every(step_s, power_w, start=START, end=START + 3600):
    return [(start + i * step_s, power_w) for i in range(int((end - start) / step_s) + 1)]


def test_an_hour_of_100_w_is_100_wh_at_any_sampling() -> None:
    for step_s in (1, 7, 60, 100, 150):
        found = energy(every(step_s, 100.0, START - 300, START + 4000))
        assert (found.energy_wh, found.covered) == (pytest.approx(100.0), 1.0)


def test_no_sample_interval_is_lost_at_the_boundary_between_hours() -> None:
    # At one sample in three minutes, dropping the interval that straddles the hour would lose 5 %.
    pairs = [(START + 90 + 180 * i, 1000.0 + i) for i in range(-30, 60)]
    hours = [energy(pairs, START + 3600 * h, START + 3600 * (h + 1), gap=200) for h in range(2)]
    both = energy(pairs, START, START + 7200, gap=200)
    assert all(hour.covered == 1.0 for hour in hours)
    assert hours[0].energy_wh + hours[1].energy_wh == pytest.approx(both.energy_wh)
    assert both.energy_wh == pytest.approx(2 * (1000 + 19.5), rel=1e-6)


def test_power_runs_straight_between_samples_also_over_a_boundary() -> None:
    assert energy([(START - 50, 0.0), (START + 50, 100.0)], START, START + 50).energy_wh == pytest.approx(75 * 50 / 3600)


def test_a_gap_is_not_bridged_and_counts_as_not_covered() -> None:
    pairs = every(60, 100.0, START, START + 1200) + every(60, 100.0, START + 2400, START + 3600)
    found = energy(pairs)
    assert (found.energy_wh, found.covered) == (pytest.approx(200 / 3), pytest.approx(2 / 3))
    assert found.whole_wh(0.6) == pytest.approx(100.0)
    assert found.whole_wh(0.7) is None


def test_nothing_known_is_unknown_and_not_zero() -> None:
    for pairs in ([], [(START + 10, 5.0)], [(START + 10, None), (START + 20, None)], every(60, 1.0, START + 9000, START + 9600)):
        found = energy(pairs)
        assert (found.energy_wh, found.covered) == (None, 0.0)
        assert found.whole_wh(0.0) is None


def test_zero_watts_is_zero_and_not_unknown() -> None:
    assert energy(every(60, 0.0)).energy_wh == 0.0


def test_an_interval_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="must end after"):
        energy([], START, START)


@given(samples, st.floats(1, 7199))
def test_parts_add_up_to_the_whole(pairs, cut_s) -> None:
    cut = START + cut_s
    whole, left, right = energy(pairs, START, START + 7200), energy(pairs, START, cut), energy(pairs, cut, START + 7200)
    assert (left.energy_wh or 0.0) + (right.energy_wh or 0.0) == pytest.approx(whole.energy_wh or 0.0, abs=1e-6)
    assert left.covered * cut_s + right.covered * (7200 - cut_s) == pytest.approx(whole.covered * 7200, abs=1e-3)
    assert (whole.energy_wh is None) == (whole.covered == 0)


@given(samples, st.floats(-3, 3))
def test_energy_scales_with_power(pairs, factor) -> None:
    scaled = energy([(t, None if p is None else p * factor) for t, p in pairs])
    plain = energy(pairs)
    assert scaled.covered == plain.covered
    assert scaled.energy_wh == (None if plain.energy_wh is None else pytest.approx(plain.energy_wh * factor, abs=1e-6))


@given(st.permutations(range(40)))
def test_the_order_of_the_input_does_not_matter(order) -> None:
    pairs = [(START + 60 * i, float(i * i % 17)) for i in range(40)]
    assert energy([pairs[i] for i in order]) == energy(pairs)


@given(samples, st.floats(10, 5000), st.floats(10, 5000))
def test_gaps_never_add_energy(pairs, one, other) -> None:
    positive = [(t, None if p is None else abs(p)) for t, p in pairs]
    strict, lax = energy(positive, gap=min(one, other)), energy(positive, gap=max(one, other))
    assert strict.covered <= lax.covered <= 1.0
    assert (strict.energy_wh or 0.0) <= (lax.energy_wh or 0.0) + 1e-9
    known = [p for _, p in positive if p is not None]
    assert (lax.energy_wh or 0.0) <= max(known, default=0.0) * lax.covered + 1e-6


@given(st.lists(st.tuples(st.integers(0, 120), st.floats(0, 3000)), min_size=2, max_size=60, unique_by=lambda s: s[0]))
def test_dense_samples_agree_with_the_trapezoid_rule(pairs) -> None:
    pairs = sorted((START + t, p) for t, p in pairs)
    by_hand = fsum((b[1] + a[1]) / 2 * (b[0] - a[0]) for a, b in pairwise(pairs)) / 3600
    assert energy(pairs, pairs[0][0], pairs[-1][0]).energy_wh == pytest.approx(by_hand)


def flows(**series):
    return Flows({Position(name): PowerSeries.of(pairs) for name, pairs in series.items()}, GAP_S)


def test_sums_of_positions_have_the_signs_of_the_design() -> None:
    house = flows(p1=every(60, 10.0), p2=every(60, 200.0), p3=every(60, 50.0))
    span = (START, START + 3600)
    assert house.quantity(Quantity.IMPORT, *span).energy_wh == pytest.approx(210)
    assert house.quantity(Quantity.LOAD, *span).energy_wh == pytest.approx(60)
    assert house.quantity(Quantity.AVOIDED, *span).energy_wh == pytest.approx(-150)


def test_a_sum_counts_only_the_time_in_which_every_part_is_known() -> None:
    house = flows(p1=every(60, 100.0, START, START + 1800), p2=every(60, 50.0, START + 900, START + 3600))
    found = house.quantity(Quantity.IMPORT, START, START + 3600)
    assert (found.energy_wh, found.covered) == (pytest.approx(150 * 900 / 3600), pytest.approx(0.25))
    assert house.quantity(Quantity.LOAD, START, START + 3600).energy_wh is None
    assert house.covered((Position.P1, Position.P2), START, START + 3600) == pytest.approx(0.25)
