"""Readings from elsewhere: what the journal lacks is added, once."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from services.recorder import keeping, retention
from services.recorder.columns import INDEX, empty_row
from services.recorder.importing import Filled, Readings, checked, fill
from services.recorder.retention import Kept

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp()) * 1000
GAP_S = 150.0
REACH_MS = 150_000


def rows(values, minutes=180, start_ms=NOON_MS):
    made = {}
    for i in range(minutes):
        row = made[start_ms + 60_000 * i] = empty_row()
        for name, value in values.items():
            row[INDEX[name]] = value
    return made


def roll_up(journal):
    while keeping.keep_up(journal, GAP_S, REACH_MS):
        pass


def test_again_it_adds_nothing(journal) -> None:
    assert fill(journal, rows({"p1_w": 1000})) == Filled(added=180)
    assert fill(journal, rows({"p1_w": 1000})) == Filled(known=180)
    assert journal.ask("SELECT count(*), sum(p1_w) FROM reading") == [(180, 180_000)]


def test_another_column_completes_what_is_there(journal) -> None:
    fill(journal, rows({"p1_w": 1000}))
    assert fill(journal, rows({"p1_w": 1000, "p3_w": 500}, 60)) == Filled(completed=60, known=0)
    assert journal.ask("SELECT sum(p1_w), sum(p3_w) FROM reading") == [(180_000, 30_000)]


def test_the_journals_own_word_stands(journal) -> None:
    fill(journal, rows({"p1_w": 1000}, 10))
    assert fill(journal, rows({"p1_w": 2000}, 10)) == Filled(known=10, differing=10)
    assert journal.ask("SELECT DISTINCT p1_w FROM reading") == [(1000,)]


def test_rollups_of_the_hours_that_are_touched_are_made_anew(journal, history) -> None:
    fill(journal, rows({"p1_w": 1000}, 60) | rows({"p1_w": 1000}, 120, NOON_MS + 2 * 3_600_000))
    roll_up(journal)
    hour = NOON_MS // 3_600_000
    before = history.hours(hour, hour + 2, GAP_S)[1].flows["p1"]
    fill(journal, rows({"p1_w": 1000}, 60, NOON_MS + 3_600_000))
    assert {row[0] for row in journal.ask("SELECT hour FROM dirty")} >= {hour + 1}
    roll_up(journal)
    after = history.hours(hour, hour + 2, GAP_S)[1].flows["p1"]
    assert before.covered < 0.05
    assert (after.energy_wh, after.covered) == (pytest.approx(100.0), 1.0)
    fill(journal, rows({"p1_w": 1000}, 60, NOON_MS + 3_600_000))
    assert not journal.ask("SELECT hour FROM dirty")  # nothing new, nothing to do


def test_again_after_the_readings_were_dropped_it_adds_nothing(journal, history) -> None:
    old = rows({"p1_w": 1000, "soc_pct": 5000}, 240)
    fill(journal, old | rows({"p1_w": 1000}, 180, NOON_MS + 10 * 86_400_000))
    roll_up(journal)
    while retention.drop_slice(journal, NOON + timedelta(days=10), Kept(timedelta(days=7))).more:
        pass
    assert journal.ask("SELECT count(*) FROM reading") == [(180,)]
    assert fill(journal, old) == Filled(known=240)
    assert fill(journal, rows({"p2_w": 500}, 240)).added == 240  # of which the minutes know nothing yet
    hour = NOON_MS // 3_600_000
    assert history.hours(hour, hour + 1, GAP_S)[0].flows["p1"].energy_wh == pytest.approx(100.0)


def test_what_cannot_be_is_refused_by_row_and_the_rest_taken() -> None:
    ahead = NOON_MS + 120_000
    offered = Readings(
        columns=("p1_w", "soc_pct"), rows=[(NOON_MS, 99_000.0, 50.0), (ahead, 1.0, 1.0), (5.0, 1.0, None), (NOON_MS, 1.0, 60.0)]
    )
    found, refused = checked(offered, NOON, 1.0)
    row = found[NOON_MS]
    assert list(found) == [NOON_MS]
    assert (row[INDEX["p1_w"]], row[INDEX["soc_pct"]]) == (10, 5000)  # the first that can be stands
    assert [(one.row, one.field) for one in refused] == [(0, "p1_w"), (1, "ts_ms"), (2, "ts_ms")]
    assert checked(offered, NOON, 10.0)[1][1].row == 2  # at ten times the speed it is not ahead


@pytest.mark.parametrize(
    "body",
    [
        {"columns": ["p9_w"], "rows": []},
        {"columns": ["p1_w", "p1_w"], "rows": []},
        {"columns": ["p1_w"], "rows": [[1, 2, 3]]},
        {"columns": ["p1_w"], "rows": [[None, 2]]},
        {"columns": ["p1_w"], "rows": [[1, float("nan")]]},
        {"columns": [], "rows": []},
        {"columns": ["p1_w"], "rows": [], "more": 1},
    ],
)
def test_a_body_of_another_form_is_refused(body) -> None:
    with pytest.raises(ValidationError):
        Readings.model_validate(body)
