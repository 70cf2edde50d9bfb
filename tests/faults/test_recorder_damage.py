"""Torn and garbled files: every acknowledged row is still readable, or recovered, up to the damage."""

import json
import random
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from services.recorder import keeping, recovery
from services.recorder.columns import INDEX, empty_row
from services.recorder.history import History
from services.recorder.journal import FILE_NAME, Journal, StateRow, open_or_replace
from services.recorder.recovery import Recovery
from services.recorder.salvage import Damaged
from services.recorder.schema import SCHEMA

START_MS = 1_782_000_000_000
COMMITS = 150
ROWS = 7
PAGE = 4096


def row(value):
    made = empty_row()
    for name, i in INDEX.items():
        made[i] = 1 if name in ("ac_output_on", "eco_mode") else value % 9000
    return made


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A journal as a power cut leaves it, with its log; and for each row, how long the log was once it was acknowledged."""
    path = tmp_path_factory.mktemp("pristine") / FILE_NAME
    journal = Journal(path)
    wal = path.with_name(FILE_NAME + "-wal")
    acknowledged = {}
    for commit in range(COMMITS):
        times = [START_MS + 10_000 * (commit * ROWS + i) for i in range(ROWS)]
        journal.write(
            {ts: row(ts // 10_000) for ts in times}, [StateRow("event/e", times[0], json.dumps({"long": "x" * 40 * (commit % 150)}))]
        )
        if commit == COMMITS // 2:
            while keeping.keep_up(journal, 60, 150_000):
                pass
            journal.ask("PRAGMA wal_checkpoint(TRUNCATE)")
            acknowledged = dict.fromkeys([*acknowledged, *times], 0)
        else:
            acknowledged |= dict.fromkeys(times, wal.stat().st_size)
    folder = path.parent / "left"
    folder.mkdir()
    for name in (FILE_NAME, FILE_NAME + "-wal"):
        shutil.copy(path.parent / name, folder / name)
    journal.close()
    return folder, acknowledged


def opened_again(path):
    """Open, recover in the background's slices, and say what rows there are and whether the file had to be replaced."""
    journal, notice = open_or_replace(path, "20260701T000000")
    for file in recovery.left_to_do(journal):
        run = Recovery(file)
        while run.slice(journal):
            pass
    assert recovery.left_to_do(journal) == []
    found = dict(journal.ask("SELECT ts, p1_w FROM reading"))
    assert all(p1 == ts // 10_000 % 9000 for ts, p1 in found.items() if p1 is not None)
    assert journal.ask("PRAGMA quick_check") == [("ok",)]
    journal.close()
    return found.keys(), notice


def copy_of(folder, tmp_path):
    target = tmp_path / "recorder"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target / FILE_NAME


def safe_rows(folder, begin, end):
    """The rows that stand on pages which bytes `begin` to `end` of the file do not touch."""
    with Damaged(folder / FILE_NAME) as file:
        touched = set(range(begin // PAGE + 1, (end - 1) // PAGE + 2)) - file._logged.keys()
        return {one.rowid for n in range(1, file.pages + 1) if n not in touched for one in file.rows(n) if one.rowid >= START_MS}


@pytest.mark.parametrize("how", ["truncate", "garble"])
def test_a_torn_log_costs_nothing_that_was_acknowledged_before_the_tear(pristine, tmp_path, how) -> None:
    folder, acknowledged = pristine
    size = (folder / f"{FILE_NAME}-wal").stat().st_size
    for seed in range(8):
        chance = random.Random(seed)
        at = chance.randrange(size)
        path = copy_of(folder, tmp_path)
        with path.with_name(FILE_NAME + "-wal").open("r+b") as wal:
            if how == "truncate":
                wal.truncate(at)
            else:
                wal.seek(at)
                wal.write(chance.randbytes(chance.randrange(1, 9000)))
        found, _ = opened_again(path)
        assert {ts for ts, length in acknowledged.items() if length <= at} <= found, (seed, at)


@pytest.mark.parametrize("how", ["truncate", "garble"])
def test_damage_in_the_file_costs_only_the_pages_it_touches(pristine, tmp_path, how) -> None:
    folder, acknowledged = pristine
    size = (folder / FILE_NAME).stat().st_size
    replaced = 0
    for seed in range(8):
        chance = random.Random(seed)
        begin = chance.randrange(size)
        end = size if how == "truncate" else min(begin + chance.randrange(1, 20_000), size)
        path = copy_of(folder, tmp_path)
        with path.open("r+b") as file:
            if how == "truncate":
                file.truncate(begin)
            else:
                file.seek(begin)
                file.write(chance.randbytes(end - begin))
        found, notice = opened_again(path)
        replaced += notice is not None
        assert safe_rows(folder, begin, end) & acknowledged.keys() <= found, (seed, begin, end)
    assert replaced > 3  # most of it was seen, or this would prove nothing


def test_without_damage_every_row_is_there(pristine, tmp_path) -> None:
    folder, acknowledged = pristine
    found, notice = opened_again(copy_of(folder, tmp_path))
    assert (found, notice) == (acknowledged.keys(), None)


def test_what_is_recovered_is_older_than_all_that_came_since_and_rollups_come_too(pristine, tmp_path) -> None:
    folder, acknowledged = pristine
    path = copy_of(folder, tmp_path)
    whole = Journal(path)
    minutes = whole.ask("SELECT count(*) FROM minute")[0][0]
    whole.close()  # its log is folded in
    with path.open("r+b") as file:
        file.write(b"\xff" * 100)  # the header: nothing of it can be opened
    journal, notice = open_or_replace(path, "20260701T000000")
    assert notice is not None
    newest = max(acknowledged) + 60_000
    journal.write({newest: row(1)}, [StateRow("event/e", newest, '{"now": true}')])
    [file] = recovery.left_to_do(journal)
    run = Recovery(file)
    steps = 0
    while run.slice(journal):
        steps += 1
        assert "%" in run.progress()
    assert f"{len(acknowledged)} readings" in run.summary()
    assert {ts for (ts,) in journal.ask("SELECT ts FROM reading")} == {*acknowledged, newest}
    assert journal.ask("SELECT count(*) FROM minute")[0][0] >= minutes > 0
    assert journal.last_states()["event/e"] == '{"now": true}'
    assert History(path).last_state("event/e") == {"now": True}
    journal.close()


V1 = """
CREATE TABLE reading (ts INTEGER PRIMARY KEY, p1_w INTEGER, p2_w INTEGER, p3_w INTEGER, p4_w INTEGER, p1_v INTEGER, p2_v INTEGER,
    p3_v INTEGER, p4_v INTEGER, p1_wh INTEGER, p2_wh INTEGER, p3_wh INTEGER, p4_wh INTEGER, soc_pct INTEGER, estimate_pct INTEGER,
    ac_in_w INTEGER, ac_out_w INTEGER, dc_in_w INTEGER, dc_out_w INTEGER, ac_output_on INTEGER, eco_mode INTEGER);
CREATE TABLE state (topic TEXT NOT NULL, ts INTEGER NOT NULL, payload TEXT NOT NULL);
CREATE INDEX state_by_topic ON state (topic, ts);
CREATE VIEW event AS
    SELECT substr(topic, 7) AS id, ts, payload, max(rowid) AS written FROM state
    WHERE topic GLOB 'event/*' AND topic NOT GLOB 'event/*/*' GROUP BY topic;
PRAGMA user_version = 1;
"""


def test_a_journal_of_schema_1_is_brought_forward_with_all_it_holds(tmp_path) -> None:
    path = tmp_path / FILE_NAME
    old = sqlite3.connect(path)
    old.execute("PRAGMA journal_mode = WAL")
    old.executescript(V1)
    start = datetime(2026, 7, 1, tzinfo=UTC)
    with old:
        old.executemany(
            "INSERT INTO reading (ts, p1_w) VALUES (?, 1000)",
            ((int((start + timedelta(minutes=i)).timestamp()) * 1000,) for i in range(2881)),
        )
        old.execute('INSERT INTO state VALUES (\'event/e\', 1, \'{"id": "e", "start": "2026-07-01"}\')')
    old.close()
    journal = Journal(path)
    assert journal.ask("PRAGMA user_version") == [(SCHEMA,)]
    assert journal.ask("SELECT count(*) FROM reading") == [(2881,)]
    while keeping.keep_up(journal, 150, 150_000):
        pass
    hours = History(path).hours(int(start.timestamp()) // 3600, int(start.timestamp()) // 3600 + 48, 150)
    assert {(hour.flows["p1"].energy_wh, hour.flows["p1"].covered) for hour in hours} == {(100.0, 1.0)}
    assert [event["id"] for event in History(path).events()] == ["e"]
    assert journal.ask("PRAGMA auto_vacuum") == [(2,)]  # room can be given back
    journal.close()
