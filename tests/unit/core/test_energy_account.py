"""Energy tracking: figures by hand, and what must hold whatever was measured."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.energy import UNKNOWN, Energy
from services.core.energy_account import FLOWS, Period, Store, account, so_far, total

MIDNIGHT = datetime(2026, 7, 1, tzinfo=UTC)
STORE = Store(1000.0, 0.9, 0.8, cycle_life=4000, price=800.0, has_pv=True)

known = st.builds(Energy, st.floats(-5000, 5000), st.floats(0.01, 1.0))
energies = st.one_of(st.just(UNKNOWN), known)


@st.composite
def periods(draw, least=1):
    found, at = [], MIDNIGHT
    for _ in range(draw(st.integers(least, 8))):
        end = at + timedelta(minutes=draw(st.integers(1, 1500)))
        found.append(Period(at, end, {name: draw(energies) for name in FLOWS}, draw(st.floats(0, 1))))
        at = end
    return found


def a_day(**wh):
    flows = {name: Energy(wh[name], 1.0) if name in wh else UNKNOWN for name in FLOWS}
    return Period(MIDNIGHT, MIDNIGHT + timedelta(days=1), flows, 1.0)


def test_a_day_by_hand() -> None:
    # 900 Wh in, 600 Wh out; 100 Wh more in store, worth 80 Wh at the output: (600 + 80) / 900.
    found = account(a_day(p1=2000.0, p2=700.0, p3=600.0, p4=200.0, avoided=-100.0), STORE, (50.0, 60.0))
    assert (found.grid_charged.energy_wh, found.pv_used.energy_wh, found.avoided.energy_wh) == (700.0, 200.0, -100.0)
    assert found.round_trip == pytest.approx(680 / 900)
    assert found.stored_wh == pytest.approx(100.0)
    # 600 Wh at the output are 750 Wh at the cells of 1000 Wh; a full cycle costs 800 / 4000.
    assert found.cycles.energy_wh == pytest.approx(0.75)
    assert found.wear.energy_wh == pytest.approx(0.75 * 0.2)


def test_what_was_taken_from_the_store_counts_as_charged() -> None:
    found = account(a_day(p2=700.0, p3=600.0, p4=200.0), STORE, (60.0, 51.0))
    assert found.round_trip == pytest.approx(600 / (900 + 90 / 0.9))


@pytest.mark.parametrize(
    ("period", "soc", "why"),
    [
        (a_day(p2=900.0, p3=600.0), (50.0, 50.0), "P4 known for less"),
        (a_day(p2=900.0, p3=600.0, p4=0.0), (None, 50.0), "state of charge is not known"),
        (a_day(p2=100.0, p3=600.0, p4=0.0), (50.0, 50.0), "charged with less than 50%"),
    ],
)
def test_an_efficiency_that_cannot_be_told_says_why(period, soc, why) -> None:
    found = account(period, STORE, soc)
    assert found.round_trip is None
    assert why in (found.round_trip_note or "")


def test_without_a_panel_nothing_comes_in_there_and_that_is_known() -> None:
    store = Store(1000.0, 0.9, 0.8, cycle_life=4000, price=None, has_pv=False)
    found = account(a_day(p2=900.0, p3=600.0), store, (50.0, 50.0))
    assert found.round_trip == pytest.approx(600 / 900)
    assert found.pv_used == Energy(0.0, 1.0)
    assert found.wear.energy_wh is None


def test_of_a_day_that_is_not_over_the_share_is_of_what_has_passed() -> None:
    day = Period(MIDNIGHT, MIDNIGHT + timedelta(days=1), {name: Energy(100.0, 0.25) for name in FLOWS}, 0.25)
    found = so_far(day, MIDNIGHT + timedelta(hours=6))
    assert found is not None
    assert (found.flows["p1"], found.metered, found.end) == (Energy(100.0, 1.0), 1.0, MIDNIGHT + timedelta(hours=6))
    assert so_far(day, MIDNIGHT) is None
    assert so_far(day, MIDNIGHT + timedelta(days=2)) is day


@given(periods(), st.randoms())
def test_the_order_of_periods_changes_no_total(found, order) -> None:
    shuffled = list(found)
    order.shuffle(shuffled)
    one, other = total(found), total(shuffled)
    for name in FLOWS:
        assert one.flows[name].energy_wh == pytest.approx(other.flows[name].energy_wh)
        assert one.flows[name].covered == pytest.approx(other.flows[name].covered)


@given(periods(least=3))
def test_a_total_of_totals_is_the_total(found) -> None:
    whole, parts = total(found), total([total(found[:2]), total(found[2:])])
    for name in FLOWS:
        assert parts.flows[name].energy_wh == pytest.approx(whole.flows[name].energy_wh)
        assert parts.flows[name].covered == pytest.approx(whole.flows[name].covered)


@given(periods())
def test_a_gap_adds_no_energy_and_lowers_the_share(found) -> None:
    end = found[-1].end
    gap = Period(end, end + timedelta(hours=5), dict.fromkeys(FLOWS, UNKNOWN), 0.0)
    before, after = total(found), total([*found, gap])
    for name in FLOWS:
        assert after.flows[name].energy_wh == before.flows[name].energy_wh
        assert after.flows[name].covered < before.flows[name].covered or before.flows[name] == UNKNOWN
        assert 0.0 <= after.flows[name].covered <= 1.0


@given(periods(), st.floats(0.1, 10))
def test_figures_scale_with_what_was_measured(found, factor) -> None:
    def times(one):
        return Energy(None if one.energy_wh is None else one.energy_wh * factor, one.covered)

    scaled = [Period(one.start, one.end, {name: times(one.flows[name]) for name in FLOWS}, one.metered) for one in found]
    one, other = account(total(found), STORE), account(total(scaled), STORE)
    for name in ("grid_charged", "given", "avoided", "cycles", "wear"):
        wh = getattr(one, name).energy_wh
        assert getattr(other, name).energy_wh == (None if wh is None else pytest.approx(wh * factor, abs=1e-6))
        assert getattr(other, name).covered == getattr(one, name).covered


@given(st.floats(500, 5000), st.floats(0, 100), st.floats(0, 100))
def test_a_perfect_battery_loses_nothing_whatever_it_holds_at_the_end(taken_wh, first, last) -> None:
    store = Store(1000.0, 1.0, 1.0, cycle_life=4000, price=None, has_pv=False)
    given_wh = taken_wh - (last - first) * 10
    if given_wh >= 0:
        assert account(a_day(p2=taken_wh, p3=given_wh), store, (first, last)).round_trip == pytest.approx(1.0)
