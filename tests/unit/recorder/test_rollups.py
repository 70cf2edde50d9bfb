"""Rollups say what the readings say, however and in whatever order those came."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.core.energy import Quantity
from services.core.positions import Position
from services.recorder import keeping
from services.recorder.history import History
from services.recorder.journal import FILE_NAME, Journal
from services.recorder.rollups import LEVELS
from services.recorder.series import Steps

START = datetime(2026, 7, 1, 12, tzinfo=UTC)
GAP_S = 60.0
REACH_MS = 150_000
FLOWS = (*Position, Quantity.IMPORT, Quantity.LOAD, Quantity.AVOIDED)
fresh = count()


def keep_up(journal, gap_s=GAP_S):
    while keeping.keep_up(journal, gap_s, REACH_MS):
        pass


def tables(journal):
    return {level.table: journal.ask(f"SELECT * FROM {level.table} ORDER BY key") for level in LEVELS}


def new_journal(tmp_path):
    return Journal(tmp_path / f"{next(fresh)}" / FILE_NAME)


powers = st.none() | st.integers(-500, 3000).map(lambda tenths: tenths / 10)
readings = st.lists(
    st.tuples(
        st.integers(0, 3 * 3600), st.fixed_dictionaries({f"{p}_w": powers for p in Position} | {"p1_v": powers, "soc_pct": st.none()})
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda one: one[0],
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(readings=readings, order=st.randoms(use_true_random=False), cuts=st.integers(1, 5))
def test_the_order_in_which_readings_come_does_not_matter(tmp_path, readings, order, cuts) -> None:
    rows = [
        (START + timedelta(seconds=s), {name: abs(v) if name == "p1_v" and v else v for name, v in values.items()})
        for s, values in readings
    ]
    end = (START + timedelta(hours=5), {"p2_w": 1.0})
    at_once, bit_by_bit = new_journal(tmp_path), new_journal(tmp_path)
    at_once.append_rows([*rows, end])
    keep_up(at_once)
    bit_by_bit.append_rows([end])
    order.shuffle(rows)
    for i in range(cuts):
        bit_by_bit.append_rows(rows[i::cuts])
        keep_up(bit_by_bit)
        bit_by_bit.append_rows(rows[i::cuts])  # repeated: it changes nothing
    keep_up(bit_by_bit)
    assert tables(at_once) == tables(bit_by_bit)
    at_once.close()
    bit_by_bit.close()


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(readings=readings, begin=st.integers(-900, 4 * 3600), length=st.integers(1, 2 * 3600))
def test_energy_from_the_tables_is_the_integral_of_the_readings(tmp_path, readings, begin, length) -> None:
    gap_s = 4000.0  # further than anything that is usual among them, so that it is the same for every window
    journal = new_journal(tmp_path)
    journal.append_rows([(START + timedelta(seconds=s), values | {"p1_v": None}) for s, values in readings])
    journal.append_rows([(START + timedelta(hours=7), {"p2_w": 1.0})])
    keep_up(journal, gap_s)
    history = History(journal.path)
    window = (START + timedelta(seconds=begin), START + timedelta(seconds=begin + length))
    span = (window[0].timestamp(), window[1].timestamp())
    [found] = history.energies([window], gap_s)
    exact = history.flows(*window, gap_s)
    for flow in FLOWS:
        wanted = exact.energy(flow, *span) if flow in list(Position) else exact.quantity(flow, *span)
        assert found.flows[flow].covered == pytest.approx(wanted.covered, abs=0.01)
        if wanted.energy_wh is not None and wanted.covered > 0.01:
            assert found.flows[flow].energy_wh == pytest.approx(wanted.energy_wh, abs=0.04)  # whole joules, in up to 120 minutes
    journal.close()


def test_unknown_is_not_zero_and_the_share_covered_stands_beside(journal) -> None:
    # 100 W for the first half of an hour, then nothing; P3 was never read.
    journal.append_rows((START + timedelta(seconds=10 * i), {"p1_w": 100.0, "p2_w": 20.0}) for i in range(181))
    journal.append_rows([(START + timedelta(hours=3), {"p1_w": 1.0})])
    keep_up(journal)
    [hour] = History(journal.path).hours(START_H, START_H + 1, GAP_S)
    assert (hour.flows["p1"].energy_wh, hour.flows["p1"].covered) == (50.0, 0.5)
    assert (hour.flows["import"].energy_wh, hour.flows["import"].covered) == (60.0, 0.5)
    assert (hour.flows["p3"].energy_wh, hour.flows["load"].energy_wh, hour.metered) == (None, None, 0.0)


START_H = int(START.timestamp()) // 3600


def test_a_late_reading_rewrites_its_hour(journal) -> None:
    journal.append_rows((START + timedelta(seconds=10 * i), {"p1_w": 100.0}) for i in range(361) if not 60 <= i < 300)
    journal.append_rows([(START + timedelta(hours=2), {"p1_w": 1.0})])
    keep_up(journal)
    history = History(journal.path)
    before = history.hours(START_H, START_H + 1, GAP_S)[0].flows["p1"]
    journal.append_rows((START + timedelta(seconds=10 * i), {"p1_w": 100.0}) for i in range(60, 300))
    keep_up(journal)
    after = history.hours(START_H, START_H + 1, GAP_S)[0].flows["p1"]
    assert before.covered == pytest.approx(1190 / 3600)
    assert (after.energy_wh, after.covered) == (100.0, 1.0)


def test_live_readings_do_not_roll_an_hour_twice(journal) -> None:
    for i in range(1000):
        journal.append_rows([(START + timedelta(seconds=10 * i), {"p1_w": 100.0})])
        if i % 3 == 0:
            keep_up(journal)
        assert journal.ask("SELECT count(*) FROM dirty") == [(0,)]
    assert len(tables(journal)["hour"]) == 2


def test_days_of_23_24_and_25_hours_by_hand(journal) -> None:
    zone = ZoneInfo("Europe/Paris")
    for first, hours in (("2026-03-28", (24, 23, 24)), ("2026-10-24", (24, 25, 24))):
        begin = datetime.fromisoformat(first).replace(tzinfo=zone).astimezone(UTC)
        journal.append_rows((begin + timedelta(minutes=i), {"p1_w": 60.0}) for i in range(73 * 60 + 1))
        keep_up(journal)
        days = History(journal.path).days(date.fromisoformat(first), date.fromisoformat(first) + timedelta(days=3), zone, 150.0)
        assert [day.flows["p1"].energy_wh for day in days.values()] == [60.0 * h for h in hours]
        assert [day.flows["p1"].covered for day in days.values()] == [1.0] * 3


def test_days_where_local_time_is_half_an_hour_off(journal) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    begin = datetime(2026, 7, 1, tzinfo=zone).astimezone(UTC)
    journal.append_rows((begin + timedelta(minutes=i), {"p1_w": 60.0 if i < 1440 else 120.0}) for i in range(2 * 1440 + 1))
    keep_up(journal)
    days = History(journal.path).days(date(2026, 7, 1), date(2026, 7, 3), zone, 150.0)
    assert [day.flows["p1"].energy_wh for day in days.values()] == [pytest.approx(1440, abs=1), pytest.approx(2880, abs=1)]


@pytest.mark.parametrize("step_s", [60, 300, 900, 3600, 86_400])
def test_a_series_is_the_same_before_and_after_it_was_rolled_up(journal, step_s) -> None:
    journal.append_rows(
        (START + timedelta(seconds=10 * i), {"p1_w": 100.0, "p3_w": 7.0, "soc_pct": 50.0, "p1_v": 230.0}) for i in range(9 * 360)
    )
    steps = Steps(int(START.timestamp()) // step_s * step_s, step_s, max(9 * 3600 // step_s, 1))
    names = ("p1_w", "load_w", "soc_pct", "p1_v")
    history = History(journal.path)
    before = history.series(names, steps, GAP_S)
    keep_up(journal)
    after = history.series(names, steps, GAP_S)
    for name in names:
        assert after[name].means == pytest.approx(before[name].means)
        assert after[name].covered == pytest.approx(before[name].covered, abs=0.01)
