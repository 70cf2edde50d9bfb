"""Old readings go, what was rolled up from them stays, and the file gets smaller without anybody waiting."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.bus.clock import ManualClock
from services.recorder import keeping, retention
from services.recorder.following import Cursor, page
from services.recorder.history import History
from services.recorder.journal import FILE_NAME, Journal, to_ms
from services.recorder.retention import Kept
from services.recorder.series import Steps
from services.recorder.upkeep import Upkeep

START = datetime(2026, 7, 1, tzinfo=UTC)
NOW = START + timedelta(days=30)
KEPT = Kept(timedelta(days=10))
FIRST = int(START.timestamp()) // 3600


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("month") / FILE_NAME
    journal = Journal(path)
    journal.append_rows((START + timedelta(minutes=i), {"p1_w": 60.0, "p2_w": 6.0, "p3_w": 0.0, "soc_pct": 50.0}) for i in range(30 * 1440))
    while keeping.keep_up(journal, 150, 150_000):
        pass
    journal.close()
    return path


@pytest.fixture
def month(made, tmp_path):
    opened = Journal(Path(shutil.copy(made, tmp_path / FILE_NAME)))
    yield opened
    opened.close()


def drop(journal, kept=KEPT):
    slices = [retention.drop_slice(journal, NOW, kept)]
    while slices[-1].more:
        slices.append(retention.drop_slice(journal, NOW, kept))
    return slices


def oldest(journal):
    return journal.ask("SELECT min(ts) FROM reading")[0][0]


def test_energy_and_series_outlive_the_readings(month) -> None:
    history = History(month.path)
    before = history.hours(FIRST, FIRST + 480, 150)
    drop(month)
    assert oldest(month) == to_ms(START + timedelta(days=20))
    assert history.hours(FIRST, FIRST + 480, 150) == before
    assert history.hours(FIRST - 100, FIRST + 480, 150, known=True) == before
    steps = Steps(int(START.timestamp()), 60, 1440)
    assert history.series(("p1_w", "soc_pct"), steps, 150)["p1_w"].means[10:] == [60.0] * 1430
    ragged = (START + timedelta(hours=3, seconds=17), START + timedelta(hours=4, seconds=40))
    [found] = history.energies([ragged], 150)
    assert (found.flows["p1"].energy_wh, found.flows["import"].covered) == (pytest.approx(60 * 3623 / 3600), pytest.approx(1))


def test_what_is_not_rolled_up_yet_is_not_dropped(journal) -> None:
    journal.append_rows((START + timedelta(minutes=i), {"p1_w": 60.0}) for i in range(1440))
    assert drop(journal)[-1].more is False
    assert oldest(journal) == to_ms(START)


def test_a_reading_that_comes_after_its_hour_was_dropped_does_not_undo_the_hour(month) -> None:
    drop(month)
    history = History(month.path)
    before = history.hours(FIRST, FIRST + 24, 150)
    month.append_rows([(START + timedelta(hours=5, minutes=7, seconds=s), {"p1_w": 9000.0}) for s in (1, 2)])
    while keeping.keep_up(month, 150, 150_000):
        pass
    assert history.hours(FIRST, FIRST + 24, 150) == before


def test_readings_wait_for_the_feed_and_at_last_go_counted(month) -> None:
    fed = Cursor(to_ms(START + timedelta(days=15)), 0, 0)
    slices = drop(month, Kept(timedelta(days=10), fed))
    assert slices[-1].waiting
    assert sum(one.unfed for one in slices) == 0
    assert oldest(month) == to_ms(START + timedelta(days=15))
    never = drop(month, Kept(timedelta(days=7), Cursor(0, 0, 0)))  # twice seven days are over: it goes unfed
    assert oldest(month) == to_ms(START + timedelta(days=16))
    assert sum(one.unfed for one in never) == 1440


def test_the_file_shrinks_in_slices_once_a_month(month) -> None:
    drop(month)
    pages = month.ask("PRAGMA page_count")[0][0]
    slices = 0
    while retention.vacuum_slice(month, NOW):
        left = month.ask("PRAGMA page_count")[0][0]
        assert pages - left <= retention.SLICE_PAGES + 5
        pages, slices = left, slices + 1
    assert slices > 1
    assert month.ask("PRAGMA freelist_count")[0][0] < retention.VACUUM_FROM * pages
    assert month.ask("PRAGMA quick_check") == [("ok",)]
    assert not retention.vacuum_slice(month, NOW + timedelta(days=29))


def test_upkeep_does_all_of_it_and_says_what_waits(month) -> None:
    said, told = {}, []
    upkeep = Upkeep(
        ManualClock(NOW), 10, zone=ZoneInfo("UTC"), max_gap_s=lambda: 150, fed=lambda: None, health=said.__setitem__, tell=told.append
    )
    while upkeep.slice(month):
        pass
    assert said["retention"] == "readings older than 10 days are kept until InfluxDB has taken them, at most as long again"
    assert oldest(month) == to_ms(START + timedelta(days=10))
    assert told == ["14400 readings older than 20 days were dropped; InfluxDB never took them"]


def test_a_follower_sees_every_row_and_late_ones_again(journal) -> None:
    rows = [(START + timedelta(seconds=10 * i), {"p1_w": float(i)}) for i in range(500)]
    journal.append_rows(rows[:100] + rows[120:300])
    seen, cursor = [], None

    def follow():
        nonlocal cursor
        while True:
            found = page(journal._db, cursor, 37, 60_000)
            cursor = Cursor.parse(str(found.cursor))
            seen.extend(row[0] for row in found.rows)
            if not found.more:
                return

    follow()
    journal.append_rows(rows[100:120])
    journal.append_rows(rows[300:])
    follow()
    assert set(seen) == {to_ms(ts) for ts, _ in rows[:494]}
    assert len(seen) == 494
