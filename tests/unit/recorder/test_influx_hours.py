"""Whole hours for InfluxDB: each once, anew where something came late, and unknown is no field."""

from datetime import UTC, datetime, timedelta

import pytest

from services.recorder import keeping
from services.recorder.following import Cursor
from services.recorder.influx_hours import HOUR_MS, BatteryScale, lines

START = datetime(2026, 7, 1, tzinfo=UTC)
FIRST = round(START.timestamp()) // 3600
SCALE = BatteryScale(has_pv=False, cycles_per_wh=0.001, wear_per_wh=0.0002)


def minutes(first, count, **values):
    return [(START + timedelta(minutes=first + i), values) for i in range(count)]


def roll(journal):
    while keeping.keep_up(journal, 120, 150_000):
        pass


@pytest.fixture
def told(history):
    def ask(after=None, limit=100, scale=SCALE):
        page = history.follow_hours(after, limit)
        return list(lines(page.hours, "demo", scale)), page

    return ask


def test_an_hour_is_told_once_it_is_over_and_only_once(journal, told) -> None:
    journal.append_rows(minutes(0, 150, p1_w=60.0, p2_w=0.0, p3_w=30.0, soc_pct=50.0))
    roll(journal)
    found, page = told()
    assert [line.split()[-1] for line in found] == [str((FIRST + i) * HOUR_MS) for i in range(2)]
    fields = dict(part.split("=") for part in found[1].split()[1].split(","))
    expected = {"p1_wh": 60, "p3_wh": 30, "import_wh": 60, "load_wh": 90, "avoided_wh": 30, "taken_wh": 0, "covered": 1, "soc_pct": 50}
    assert {name: float(fields[name]) for name in expected} == pytest.approx(expected, abs=0.01)
    assert float(fields["cycles"]) == pytest.approx(0.03)
    assert float(fields["wear"]) == pytest.approx(0.006)
    assert told(page.cursor)[0] == []


def test_what_is_unknown_has_no_field(journal, told) -> None:
    journal.append_rows(minutes(0, 150, p1_w=60.0, soc_pct=50.0))
    roll(journal)
    (line, _) = told(scale=BatteryScale(has_pv=True))[0]
    names = {part.split("=")[0] for part in line.split()[1].split(",")}
    assert names == {"p1_wh", "soc_pct", "covered"}
    assert "covered=0.0" in line


def fields_of(line):
    return {name: float(value) for name, value in (part.split("=") for part in line.split()[1].split(","))}


def test_an_hour_between_others_in_which_nothing_was_read_is_told_as_unknown(journal, told) -> None:
    journal.append_rows([*minutes(0, 90, p1_w=60.0, p2_w=0.0, p3_w=30.0), *minutes(60 * 24 * 30, 120, p1_w=60.0, p2_w=0.0, p3_w=30.0)])
    roll(journal)
    found, cursor, more = [], None, True
    while more:
        some, page = told(cursor, limit=50)
        found += some
        cursor, more = page.cursor, page.more
    assert [int(line.split()[-1]) // HOUR_MS - FIRST for line in found] == list(range(24 * 30 + 1))
    assert {tuple(fields_of(line).items()) for line in found[2:-1]} == {(("covered", 0.0),)}
    covered = [fields_of(line)["covered"] for line in found]
    assert sum(covered) / len(covered) == pytest.approx(2.5 / len(covered), rel=0.02)
    assert told(cursor)[0] == []


def test_an_hour_that_is_being_reckoned_anew_is_waited_for(journal, told) -> None:
    journal.append_rows([*minutes(0, 60, p1_w=60.0), *minutes(180, 120, p1_w=60.0)])
    roll(journal)
    journal.append_rows(minutes(120, 60, p1_w=120.0))
    waiting, page = told()
    assert len(waiting) == 1, "nothing is said of an hour whose readings have just come"
    roll(journal)
    found, _ = told(page.cursor)
    assert [round(fields_of(line).get("p1_wh", 0)) for line in found if int(line.split()[-1]) // HOUR_MS - FIRST == 2] == [120]


def test_what_the_battery_gave_and_took_are_of_the_same_hours(journal, told) -> None:
    journal.append_rows(
        [*minutes(0, 60, p2_w=100.0, p3_w=80.0), *minutes(60, 60, p3_w=80.0), *minutes(120, 60, p2_w=100.0), *minutes(180, 60, p1_w=5.0)]
    )
    roll(journal)
    both, *others = [fields_of(line) for line in told()[0]]
    assert both["given_wh"] / both["taken_wh"] == pytest.approx(0.8, rel=0.02)
    assert others[1]["p2_wh"] > 90
    sums = {name: sum(one.get(name, 0.0) for one in others) for name in ("given_wh", "taken_wh")}
    assert sums["given_wh"] == pytest.approx(sums["taken_wh"] * 0.8, abs=5), "but for the minute in which one ends and the other begins"


def test_a_backlog_comes_in_pages(journal, told) -> None:
    journal.append_rows(minutes(0, 60 * 10 + 30, p1_w=60.0))
    roll(journal)
    found, cursor, more = [], None, True
    while more:
        some, page = told(cursor, limit=3)
        found += some
        cursor, more = page.cursor, page.more
    assert [int(line.split()[-1]) // HOUR_MS - FIRST for line in found] == list(range(10))


def test_an_hour_that_late_readings_changed_is_told_again_once_it_is_reckoned_anew(journal, told) -> None:
    journal.append_rows([*minutes(0, 120, p1_w=60.0), *minutes(180, 120, p1_w=60.0)])
    roll(journal)
    _, page = told()
    journal.append_rows(minutes(120, 60, p1_w=120.0))
    waiting, waited = told(page.cursor)
    assert waiting == []
    roll(journal)
    found, after = told(waited.cursor)
    by_hour = {int(line.split()[-1]) // HOUR_MS - FIRST: line for line in found}
    assert "p1_wh=120" in by_hour[2] or "p1_wh=119" in by_hour[2]
    assert set(by_hour) <= {1, 2, 3}
    assert told(after.cursor)[0] == []
    assert Cursor.parse(str(after.cursor)) == after.cursor
