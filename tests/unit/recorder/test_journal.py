import sqlite3
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest

from services.recorder.columns import COLUMNS, INDEX, empty_row
from services.recorder.history import History
from services.recorder.journal import FILE_NAME, Journal, JournalCorrupt, JournalError, StateRow, open_or_replace, to_ms

START = datetime(2026, 7, 1, tzinfo=UTC)


def row(**values):
    made = empty_row()
    for name, value in values.items():
        made[INDEX[name]] = COLUMNS[name].encode(value)
    return made


def rows_of(path):
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        found = [dict(one) for one in db.execute("SELECT * FROM reading ORDER BY ts")]
    db.close()
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "recorder" / FILE_NAME


@pytest.fixture
def journal(path):
    opened = Journal(path)
    yield opened
    opened.close()


def test_readings_of_one_time_fold_into_one_row_whatever_their_order(journal, path) -> None:
    journal.write({2000: row(p1_w=1.0)})
    journal.write({1000: row(p1_w=93.46, soc_pct=71.239), 2000: row(p3_w=-7.0)})
    assert [(r["ts"], r["p1_w"], r["p3_w"], r["soc_pct"]) for r in rows_of(path)] == [(1000, 935, None, 7124), (2000, 10, -70, None)]


def test_the_same_written_twice_is_there_once(journal, path) -> None:
    state = StateRow("controller/state", 1000, '{"phase":"normal"}')
    for _ in range(2):
        journal.write({1000: row(p1_w=1.0)}, [state])
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM reading").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM state").fetchone() == (1,)
    db.close()


def test_what_was_written_is_there_after_opening_again(journal, path) -> None:
    journal.write({1000: row(p1_w=1.0)}, [StateRow("preferences", 1, "{}"), StateRow("preferences", 2, '{"a":1}')])
    journal.close()
    again = Journal(path)
    assert again.last_reading_ms() == 1000
    assert again.last_states() == {"preferences": '{"a":1}'}
    again.close()


def test_every_commit_goes_through_to_the_disk(journal) -> None:
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_newer_schema_is_refused_with_the_remedy(path, journal) -> None:
    journal._db.execute("PRAGMA user_version = 99")
    journal.close()
    with pytest.raises(JournalError, match=r"newer version \(its schema is 99, this one knows 3\); upgrade") as refused:
        Journal(path)
    assert not isinstance(refused.value, JournalCorrupt)
    with pytest.raises(JournalError):
        open_or_replace(path, "x")
    assert path.exists()


@pytest.mark.parametrize("damage", ["no database", "a page in the middle", "the header"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path, journal, damage) -> None:
    journal.append_rows((START + timedelta(minutes=i), {"p1_w": float(i)}) for i in range(20_000))
    journal.close()
    body = bytearray(path.read_bytes())
    if damage == "no database":
        body = bytearray(b"this is not a journal at all" * 1000)
    elif damage == "the header":
        body[:100] = b"\xff" * 100
    else:
        body[3 * 4096 : 8 * 4096] = b"\xa5" * (5 * 4096)
    path.write_bytes(body)
    fresh, notice = open_or_replace(path, "20260701T000000")
    assert notice is not None
    assert "set aside as journal.db.corrupt-20260701T000000" in notice
    assert (path.parent / "journal.db.corrupt-20260701T000000").read_bytes() == bytes(body)
    assert fresh.last_reading_ms() is None
    fresh.write({1: row(p1_w=1.0)})
    fresh.close()


def test_a_torn_last_write_costs_only_what_was_not_committed(path, journal, tmp_path) -> None:
    journal.write({1000: row(p1_w=1.0)})
    wal = path.with_name(path.name + "-wal")
    whole = wal.stat().st_size
    journal.write({2000: row(p1_w=2.0)})
    # As after a power cut: the file, and a WAL whose last frames only partly reached the disk.
    torn = tmp_path / "torn" / FILE_NAME
    torn.parent.mkdir()
    torn.write_bytes(path.read_bytes())
    torn.with_name(FILE_NAME + "-wal").write_bytes(wal.read_bytes()[: whole + 100])
    reopened, notice = open_or_replace(torn, "x")
    assert (notice, reopened.last_reading_ms()) == (None, 1000)
    reopened.close()


def test_a_full_disk_is_told_and_nothing_is_half_written(journal, path) -> None:
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match="full"):
        journal.write({i: row(p1_w=1.0, p2_w=1.0) for i in range(5000)}, [StateRow("a", 1, "{}")])
    journal._db.execute("PRAGMA max_page_count = 1000000")
    assert journal.last_reading_ms() is None
    journal.write({1: row(p1_w=1.0)})
    assert journal.last_reading_ms() == 1


def test_twenty_days_of_minutes_are_seeded_quickly(journal, path) -> None:
    rows = [(START + timedelta(minutes=i), {"p1_w": i % 300 + 0.5, "p2_w": 0.0, "p3_w": None, "soc_pct": 50.0}) for i in range(28_800)]
    began = perf_counter()
    assert journal.append_rows(rows) == 28_800
    assert perf_counter() - began < 3
    assert journal.last_reading_ms() == to_ms(rows[-1][0])


def test_seeding_an_unknown_column_is_refused_by_name(journal) -> None:
    with pytest.raises(ValueError, match="'p1_kw' is no column"):
        journal.append_rows([(START, {"p1_kw": 1.0})])


def test_a_folder_that_cannot_be_made_is_told(tmp_path) -> None:
    (tmp_path / "recorder").write_text("in the way")
    with pytest.raises(JournalError, match="recorder"):
        Journal(tmp_path / "recorder" / FILE_NAME)


def test_reading_a_journal_that_is_not_there_is_told(path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        History(path).events()
